// What a program with the Node SDK does: one streamed chat completion, its words on standard output.
import OpenAI from 'openai';

const client = new OpenAI({ maxRetries: 0 });
const ask = { model: 'gpt-4o', messages: [{ role: 'user', content: '天気は？' }] };
let said = '';
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
  said += chunk.choices[0]?.delta?.content ?? '';
console.log(said);
