// panva's oidc-provider with its own log-in pages, for a public client with PKCE; signs ES256. Arguments are redirect
// URIs beside that of the tests without a browser.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const people = {
  ann: { email: 'ann@example.com', email_verified: true },
  bob: { email: 'bob@example.com', email_verified: true },
  mallory: { email: 'mallory@evil.test', email_verified: true },
  eve: { email: 'eve@example.com', email_verified: false },
};
const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const client = (id) => ({
  client_id: id,
  token_endpoint_auth_method: 'none',
  redirect_uris: ['http://127.0.0.1:9/callback', ...process.argv.slice(2)],
  post_logout_redirect_uris: process.argv.slice(2).flatMap((uri) => [
    new URL('/_sekisho/signed-out', uri).href,
    new URL('/sign-in/out', uri).href,
  ]),
  id_token_signed_response_alg: 'ES256',
});

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [client('sekisho'), client('other')],
  jwks: { keys: [{ ...signing, kid: 'k1', use: 'sig', alg: 'ES256' }] },
  cookies: { keys: ['for a test'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false, // the address stands in the ID token, not only at the userinfo endpoint
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId, ...people[accountId] }) }),
});
server.on('request', provider.callback());
console.log(issuer);
for await (const _ of createInterface({ input: process.stdin }));
process.exit(0);
