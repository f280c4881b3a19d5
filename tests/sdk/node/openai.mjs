// OpenAI's TypeScript SDK on `/v1`.
//
// BASE_URL: Tollgate, or the sample upstream. KEY: a key that opens it. Every model whose name begins with `sample-` must
// lead to the sample upstream by the same name.

import OpenAI from 'openai';
import { SAID, check, raises, same, setting } from './checks.mjs';

const options = { baseURL: `${setting('BASE_URL')}/v1`, apiKey: setting('KEY'), maxRetries: 0, timeout: 30_000 };
const client = new OpenAI(options);
const parameters = { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] };
const tools = ['weather', 'tides'].map((name) => ({ type: 'function', function: { name, description: '', parameters } }));

function question(model = 'sample-model', more = {}) {
    return { model, messages: [{ role: 'user', content: SAID }], ...more };
}

const answer = await client.chat.completions.create(question());
check(answer.choices[0].message.content.endsWith(SAID), `whole: ${answer.choices[0].message.content}`);

let said = '';
for await (const chunk of await client.chat.completions.create(question('sample-model', { stream: true }))) {
    said += chunk.choices[0]?.delta.content ?? '';
}
check(said === answer.choices[0].message.content, 'streamed');

for (const model of ['sample-tools', 'sample-interleaved']) {
    const last = await client.chat.completions.stream(question(model, { tools })).finalChatCompletion();
    const calls = last.choices[0].message.tool_calls;
    check(same(calls.map((call) => call.function.name), ['weather', 'tides']), `${model}: two calls`);
    check(calls.every((call) => same(JSON.parse(call.function.arguments), { place: SAID })), `${model}: their arguments`);
}

const embedded = await client.embeddings.create({ model: 'sample-model', input: [SAID, 'a'] });
check(embedded.data.length === 2 && embedded.data[0].embedding.length === 8, 'embeddings');
const models = [];
for await (const model of client.models.list()) models.push(model.id);
check(models.includes('sample-model'), `models: ${models}`);

for (const [kind, model, status] of [
    [OpenAI.BadRequestError, 'sample-error-400', 400],
    [OpenAI.RateLimitError, 'sample-error-429', 429],
    [OpenAI.InternalServerError, 'sample-html', 502],
]) {
    const error = await raises(kind, () => client.chat.completions.create(question(model)));
    check(error.status === status, `${model}: ${status}`);
}
const stranger = new OpenAI({ ...options, apiKey: 'sk-nobody' });
await raises(OpenAI.AuthenticationError, () => stranger.chat.completions.create(question()));
check(true, 'a wrong key');
