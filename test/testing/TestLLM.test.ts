/** Tests of the test tools: the scripted `LLM` against the vocabulary, the simulated provider with a plain HTTP client. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Fiber, Stream, TestClock } from "effect"
import { request as send } from "undici"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as LLM from "../../src/LLM.js"
import { SimulatedProvider, TestLLM } from "../../src/testing/index.js"
import { unavailable } from "../support/scripted.js"

describe("TestLLM", () => {
  it.effect("TestLLM follows its script for chat and chatStream and records the calls", () =>
    Effect.gen(function* () {
      expect((yield* LLM.chat("one")).text).toBe("first")
      const streamed = yield* Stream.runCollect(LLM.chatStream("two"))
      expect(
        Chunk.toReadonlyArray(streamed).map((event) => (event._tag === "TextDelta" ? event.text : event._tag))
      ).toEqual(["Start", "one ", "word ", "after ", "another", "Finish"])
      expect((yield* LLM.chat("three")).toolCalls).toHaveLength(1)
      expect(yield* Effect.flip(LLM.chat("four"))).toBe(unavailable)
      expect(yield* TestLLM.calls).toEqual([
        { request: { messages: [Chat.user("one")] }, stream: false },
        { request: { messages: [Chat.user("two")] }, stream: true },
        { request: { messages: [Chat.user("three")] }, stream: false },
        { request: { messages: [Chat.user("four")] }, stream: false }
      ])
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          "first",
          "one word after another",
          TestLLM.answer({ toolCalls: [Chat.toolCall("1", "search", "{}")] }),
          TestLLM.failure(unavailable)
        ])
      )
    )
  )

  it("a response has its reasoning, text, refusal and tool calls as parts in this order", () => {
    const toolCalls = [Chat.toolCall("a", "search", "{}")]
    expect(TestLLM.response({ refusal: "No.", toolCalls, text: "Well.", reasoning: "hm" })).toMatchObject({
      content: [{ type: "reasoning", text: "hm" }, Chat.text("Well."), { type: "refusal", text: "No." }, ...toolCalls],
      text: "Well.",
      reasoning: "hm",
      refusal: "No.",
      toolCalls,
      finishReason: "tool-calls"
    })
    expect(TestLLM.response().content).toEqual([])
  })

  it("the text, reasoning, refusal and tool calls of a response are those of its content, if it has one", () => {
    const content = [Chat.toolCall("a", "search", "{}"), Chat.text("one"), Chat.text(" two")]
    expect(TestLLM.response({ content, text: "other", reasoning: "hm" })).toMatchObject({
      content,
      text: "one two",
      reasoning: "",
      toolCalls: [content[0]],
      finishReason: "tool-calls"
    })
  })

  it("wordByWord splits reasoning, text, refusal and arguments into words, with signature and native fields on the last", () => {
    const native = { test: { citations: ["a"] } }
    const whole = TestLLM.response({
      content: [
        { type: "reasoning", text: "Let me think.", id: "t1", signature: "sealed" },
        { type: "text", text: "Two calls.", native },
        Chat.toolCall("a", "search", '{"for":"two words"}'),
        { type: "provider", native },
        Chat.toolCall("b", "clock", "{}"),
        { type: "refusal", text: "No more." }
      ]
    })
    const events = TestLLM.wordByWord(whole)
    expect(events.filter(({ _tag }) => _tag === "TextDelta" || _tag === "RefusalDelta")).toEqual([
      { _tag: "TextDelta", index: 1, text: "Two " },
      { _tag: "TextDelta", index: 1, text: "calls.", native },
      { _tag: "RefusalDelta", index: 5, text: "No " },
      { _tag: "RefusalDelta", index: 5, text: "more." }
    ])
    const delta = { _tag: "ReasoningDelta", index: 0, id: "t1" }
    expect(events.filter(({ _tag }) => _tag === "ReasoningDelta")).toEqual([
      { ...delta, text: "Let " },
      { ...delta, text: "me " },
      { ...delta, text: "think.", signature: "sealed" }
    ])
    expect(events.flatMap((event) => (event._tag === "ToolCallDelta" ? [event.argumentsDelta] : []))).toEqual([
      '{"for":"two ',
      'words"}',
      "{}"
    ])
    expect(events.reduce(ChatEvent.append, ChatEvent.nothing).content).toEqual(whole.content)
  })

  it.effect("TestLLM fails with the number of steps when its script has ended", () =>
    Effect.gen(function* () {
      yield* LLM.chat("?")
      expect((yield* Effect.flip(LLM.chat("?"))).message).toContain("1 step")
    }).pipe(Effect.provide(TestLLM.layer(["only"])))
  )

  it.effect("TestLLM starts its script again with loop: true", () =>
    Effect.gen(function* () {
      const answers = yield* Effect.forEach([1, 2, 3], () => LLM.chat("?"))
      expect(answers.map((answer) => answer.text)).toEqual(["a", "b", "a"])
    }).pipe(Effect.provide(TestLLM.layer(["a", "b"], { loop: true })))
  )

  it.effect("TestLLM delays an answer by the test clock, and a step of never does not end", () =>
    Effect.gen(function* () {
      const late = yield* Effect.fork(LLM.chat("?"))
      yield* TestClock.adjust("999 millis")
      expect(late.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 milli")
      expect((yield* Fiber.join(late)).text).toBe("late")
      const never = yield* Effect.fork(Effect.timeoutOption(LLM.chat("?"), "1 day"))
      yield* TestClock.adjust("1 day")
      expect(yield* Fiber.join(never)).toMatchObject({ _tag: "None" })
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.delayed("1 second", "late"), TestLLM.never])))
  )

  const events = ChatEvent.fromResponse(TestLLM.response({ text: "Hello" }))

  it.effect("TestLLM streams events at an interval and then fails", () =>
    Effect.gen(function* () {
      const tags: Array<string> = []
      const fiber = yield* Effect.fork(
        Effect.exit(Stream.runForEach(LLM.chatStream("?"), (event) => Effect.sync(() => tags.push(event._tag))))
      )
      yield* TestClock.adjust("150 millis")
      expect(tags).toEqual(["Start"])
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(fiber)).toEqual(Exit.fail(unavailable))
      expect(tags).toEqual(["Start", "TextDelta"])
    }).pipe(
      Effect.provide(TestLLM.layer([TestLLM.stream(events.slice(0, 2), { every: "100 millis", failure: unavailable })]))
    )
  )

  it.effect("TestLLM rejects an invalid request without using a step of its script", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.chat({ messages: [] }))
      expect(error._tag === "InvalidRequestError" && error.field).toBe("messages")
      expect((yield* LLM.chat("?")).text).toBe("only")
    }).pipe(Effect.provide(TestLLM.layer(["only"])))
  )

  it.effect("layerHandler answers with the result of its function for each call", () =>
    Effect.gen(function* () {
      expect((yield* LLM.chat("echo")).text).toBe("0: echo")
    }).pipe(
      Effect.provide(
        TestLLM.layerHandler(({ request }, index) => `${index}: ${Chat.textOf(request.messages[0]?.content ?? "")}`)
      )
    )
  )
})

const post = (baseUrl: string, body: object, key = "good") =>
  Effect.promise(async () => {
    const response = await send(`${baseUrl}/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hi" }], ...body })
    })
    return { status: response.statusCode, headers: response.headers, text: await response.body.text() }
  })

describe("SimulatedProvider", () => {
  it.scopedLive(
    "the simulated provider limits, refuses or accepts each key by its options, with an exact Retry-After",
    () =>
      Effect.gen(function* () {
        const provider = yield* SimulatedProvider.make({
          keys: [
            { key: "limited", limit: { requests: 2, per: "1 hour" } },
            { key: "revoked", revoked: true },
            { key: "empty", outOfQuota: true }
          ]
        })
        const statuses = yield* Effect.forEach(
          ["limited", "limited", "limited", "revoked", "empty", "unknown"],
          (key) => post(provider.baseUrl, {}, key)
        )
        expect(statuses.map(({ status }) => status)).toEqual([200, 200, 429, 401, 429, 401])
        const wait = Number(statuses[2]?.headers["retry-after"])
        expect(wait).toBeGreaterThan(3000)
        expect(wait).toBeLessThanOrEqual(3600)
        expect(statuses[4]?.text).toContain("insufficient_quota")
        const log = yield* provider.log
        expect(log[0]?.keyId).toBe(ApiKey.make("limited").id)
        expect(JSON.stringify(log)).not.toContain("Bearer")
      })
  )

  it.scopedLive("the simulated provider streams like OpenAI, with usage on request or by its dialect", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "one two" })
      const { text } = yield* post(provider.baseUrl, { stream: true, stream_options: { include_usage: true } })
      const frames = text.trim().split("\n\n")
      expect(frames[frames.length - 1]).toBe("data: [DONE]")
      expect(frames[frames.length - 2]).toContain('"prompt_tokens"')
      const silent = yield* post(provider.baseUrl, { stream: true })
      expect(silent.text).not.toContain('"prompt_tokens"')
      const unasked = yield* SimulatedProvider.make({
        answer: () => "one two",
        chatCompletions: { streamUsage: false }
      })
      expect((yield* post(unasked.baseUrl, { stream: true })).text).toContain('"prompt_tokens"')
    })
  )

  it.scopedLive("the simulated provider answers an invalid request with 400 and an unknown path with 404", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const refused = yield* post(provider.baseUrl, { messages: [{ role: "robot", content: "?" }] })
      expect([refused.status, refused.text.includes("messages[0].role")]).toEqual([400, true])
      const notFound = yield* Effect.promise(() => send(`${provider.baseUrl}/nowhere`, { method: "POST", body: "{}" }))
      expect(notFound.statusCode).toBe(404)
      yield* Effect.promise(() => notFound.body.dump())
      const models = yield* Effect.promise(() => send(`${provider.baseUrl}/models`))
      expect(models.statusCode).toBe(200)
      yield* Effect.promise(() => models.body.dump())
    })
  )
})
