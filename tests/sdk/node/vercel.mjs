// Vercel's AI SDK with its Anthropic provider, on models that speak OpenAI's API.
//
// BASE_URL: Tollgate. KEY: a key that opens it. Every model whose name begins with `sample-` must lead to the sample
// upstream by the same name.

import { createAnthropic } from '@ai-sdk/anthropic';
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { SAID, check, raises, same, setting } from './checks.mjs';

const anthropic = createAnthropic({ baseURL: `${setting('BASE_URL')}/v1`, apiKey: setting('KEY') });
const ask = (model = 'sample-model', more = {}) => ({
    model: anthropic(model),
    prompt: SAID,
    maxOutputTokens: 2000,
    maxRetries: 0,
    ...more,
});

const answer = await generateText(ask('sample-model', { system: 'Be brief.' }));
check(answer.text.endsWith(SAID) && answer.finishReason === 'stop', `whole: ${answer.text}`);
check(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0, 'whole: usage');

const stream = streamText(ask());
let said = '';
for await (const piece of stream.textStream) said += piece;
check(said === answer.text && (await stream.finishReason) === 'stop', 'streamed');

// The results go back, and the answer to them comes.
const place = z.object({ place: z.string() });
const tools = {
    weather: tool({ description: 'Says what it is like.', inputSchema: place, execute: async () => 'fine' }),
    tides: tool({ description: 'Says how high.', inputSchema: place, execute: async () => 'low' }),
};
for (const model of ['sample-tools', 'sample-interleaved']) {
    const run = streamText(ask(model, { tools, stopWhen: stepCountIs(3) }));
    await run.consumeStream();
    const [first] = await run.steps;
    check(same(first.toolCalls.map((call) => [call.toolName, call.input]), [
        ['weather', { place: SAID }],
        ['tides', { place: SAID }],
    ]), `${model}: two calls`);
    check((await run.text) === 'The tools said: fine; low', `${model}: results: ${await run.text}`);
}

const options = { providerOptions: { anthropic: { thinking: { type: 'enabled', budgetTokens: 1024 } } } };
const thought = await generateText(ask('sample-reasoning', options));
check(thought.reasoningText?.length > 0 && thought.text.endsWith(SAID), `reasoning: ${thought.reasoningText}`);

const port = z.object({ name: z.string(), depth: z.number() });
// Asked for an object, the SDK offers models it does not know a tool that they must call.
const object = await generateText(ask('sample-tools', { output: Output.object({ schema: port }) }));
check(same(object.output, { name: SAID, depth: 7 }), 'an object by a schema');

for (const [model, status] of [['sample-error-400', 400], ['sample-error-429', 429], ['no-such-model', 404], ['sample-html', 502]]) {
    const error = await raises(APICallError, () => generateText(ask(model)));
    check(error.statusCode === status && error.data?.error.message, `${model}: ${status}, ${error.message}`);
}
