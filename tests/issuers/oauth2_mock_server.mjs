// axa-group's oauth2-mock-server: signs what it is asked to. A line on standard input (an algorithm) adds a key.
import { createInterface } from 'node:readline';
import { OAuth2Server } from 'oauth2-mock-server';

const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
server.service.on('beforeTokenSigning', (token, request) =>
  Object.assign(token.payload, JSON.parse(request.body.claims ?? '{}')),
);
await server.start(0, '127.0.0.1');
console.log(server.issuer.url);
for await (const algorithm of createInterface({ input: process.stdin })) {
  await server.issuer.keys.generate(algorithm);
  console.log('a key more');
}
await server.stop();
