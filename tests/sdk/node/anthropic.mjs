// Anthropic's TypeScript SDK on models that speak OpenAI's API.
//
// BASE_URL: Tollgate. KEY: a key that opens it. Every model whose name begins with `sample-` must lead to the sample
// upstream by the same name.

import Anthropic from '@anthropic-ai/sdk';
import { SAID, check, raises, same, setting } from './checks.mjs';

const options = { baseURL: setting('BASE_URL'), apiKey: setting('KEY'), maxRetries: 0, timeout: 30_000 };
const client = new Anthropic(options);
const schema = { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] };
const tools = ['weather', 'tides'].map((name) => ({ name, description: 'Says what it is like.', input_schema: schema }));

function question(model = 'sample-model', more = {}) {
    return { model, max_tokens: 2000, messages: [{ role: 'user', content: SAID }], ...more };
}

async function all(stream) {
    const events = [];
    for await (const event of stream) events.push(event);
    return events;
}

const answer = await client.messages.create(question());
check(answer.content[0].text.endsWith(SAID) && answer.stop_reason === 'end_turn', `whole: ${answer.content[0].text}`);
check(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0, 'whole: usage');

const events = await all(await client.messages.create(question('sample-model', { stream: true })));
check(events[0].type === 'message_start' && events.at(-1).type === 'message_stop', `stream: ${events.length} events`);
let said = '';
const stream = client.messages.stream(question()).on('text', (text) => (said += text));
const last = await stream.finalMessage();
check(said === last.content[0].text && said.endsWith(SAID), 'stream: the helper');

for (const model of ['sample-tools', 'sample-interleaved']) {
    const called = await client.messages.stream(question(model, { tools })).finalMessage();
    const calls = called.content.filter((block) => block.type === 'tool_use');
    check(same(calls.map((call) => call.name), ['weather', 'tides']), `${model}: two calls`);
    check(calls.every((call) => same(call.input, { place: SAID })), `${model}: their input`);
    check(called.stop_reason === 'tool_use', `${model}: why it ends`);
    const results = calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: `${call.name}: fine` }));
    const messages = [
        { role: 'user', content: SAID },
        { role: 'assistant', content: called.content },
        { role: 'user', content: results },
    ];
    const after = await client.messages.create(question(model, { tools, messages }));
    check(after.content[0].text === 'The tools said: weather: fine; tides: fine', `${model}: results`);
}

const thinking = { thinking: { type: 'enabled', budget_tokens: 1024 } };
const thought = await client.messages.stream(question('sample-reasoning', thinking)).finalMessage();
check(same(thought.content.map((block) => block.type), ['thinking', 'text']), 'thinking, before the text');

const counted = await client.messages.countTokens({ model: 'sample-model', messages: [{ role: 'user', content: 'Hello' }] });
check(counted.input_tokens === 8, `countTokens: ${counted.input_tokens}`);

for (const [kind, model, status, type] of [
    [Anthropic.BadRequestError, 'sample-error-400', 400, 'invalid_request_error'],
    [Anthropic.NotFoundError, 'no-such-model', 404, 'not_found_error'],
    [Anthropic.RateLimitError, 'sample-error-429', 429, 'rate_limit_error'],
    [Anthropic.InternalServerError, 'sample-html', 502, 'api_error'],
    [Anthropic.InternalServerError, 'sample-error-529', 529, 'overloaded_error'],
]) {
    const error = await raises(kind, () => client.messages.create(question(model)));
    check(error.status === status && error.error.error.type === type, `${model}: ${status}, ${type}`);
}
const stranger = new Anthropic({ ...options, apiKey: 'sk-nobody' });
const refused = await raises(Anthropic.AuthenticationError, () => stranger.messages.create(question()));
check(refused.error.error.type === 'authentication_error', 'a wrong key');
for (const model of ['sample-late', 'sample-cut']) {
    await raises(Anthropic.APIError, async () => all(await client.messages.create(question(model, { stream: true }))));
    check(true, `${model}: an error event`);
}

// A stream that is left must not harm the next call.
const left = await client.messages.create(question('sample-slow', { stream: true }));
left.controller.abort();
check((await client.messages.create(question())).content.length === 1, 'after a stream that was left');
