import { describe, expect, it } from "@effect/vitest"
import {
  Array as Arr,
  Cause,
  Effect,
  Exit,
  Fiber,
  FiberRef,
  HashMap,
  HashSet,
  Layer,
  Logger,
  LogLevel,
  Redacted,
  Ref,
  Stream,
  TestClock
} from "effect"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import * as LogLine from "../../src/telemetry/logLine.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import { Label } from "../../src/internal/label.js"
import * as LLM from "../../src/LLM.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import type { Step } from "../support/scripted.js"
import { answer, malformed, scripted } from "../support/scripted.js"

interface Line {
  readonly message: string
  readonly level: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Runs an effect and returns its exit and the lines that it logs. */
const captureLogs = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const lines: Array<Line> = []
    const logger = Logger.make<unknown, void>(({ annotations, logLevel, message }) => {
      lines.push({
        message: Arr.ensure(message).map(String).join(" "),
        level: logLevel.label,
        fields: Object.fromEntries(HashMap.toEntries(annotations))
      })
    })
    const exit = yield* Effect.exit(Effect.provide(effect, Logger.replace(Logger.defaultLogger, logger)))
    return { exit, lines }
  })

const loggedLLM = (options: AccessLog.Options, ...steps: readonly [Step, ...Array<Step>]) =>
  Effect.flatMap(scripted(...steps), AccessLog.middleware(options))

const only = <A>(all: ReadonlyArray<A>): A => {
  const [first, ...rest] = all
  if (first === undefined || rest.length > 0) throw new Error(`${all.length} instead of one`)
  return first
}

const slowAnswer = Effect.delay(Effect.succeed(answer("Hello")), "120 millis")

describe("the log line of a call", () => {
  it.effect("logs one line with all metadata of a call and no prompt or answer text", () =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({}, slowAnswer)
      const { lines } = yield* captureLogs(
        Effect.fork(llm.chat({ messages: [Chat.user("the secret of my life")], temperature: 1 })).pipe(
          Effect.tap(() => TestClock.adjust("1 second")),
          Effect.flatMap((fiber) => fiber.await),
          AccessLog.withRequestId("req-7"),
          Effect.provideService(Label, "team-a")
        )
      )
      const line = only(lines)
      expect(line.level).toBe("INFO")
      expect(line.message).toBe("llm call")
      expect(line.fields).toEqual({
        request_id: "req-7",
        label: "team-a",
        operation: "chat",
        streamed: false,
        provider: "test",
        model: "model",
        answered_by: "model",
        key_id: "key",
        attempts: 1,
        outcome: "ok",
        finish_reason: "stop",
        input_tokens: 3,
        output_tokens: 4,
        cached_input_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
        estimated: false,
        latency_ms: 120
      })
      expect(JSON.stringify(lines)).not.toMatch(/secret|Hello/)
    })
  )

  it.effect("logs a failed call as a warning with the error's tag and without its message", () =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({}, malformed)
      const { exit, lines } = yield* captureLogs(llm.chat("?"))
      expect(Exit.isFailure(exit)).toBe(true)
      expect(only(lines)).toMatchObject({
        level: "WARN",
        fields: { outcome: "MalformedResponseError", attempts: 1, key_id: "key" }
      })
      expect(JSON.stringify(lines)).not.toContain("html")
    })
  )

  it.effect("logs a stream as `defect` whose `LLM` throws before it returns one", () =>
    Effect.gen(function* () {
      const next = yield* scripted(Effect.succeed(answer("Hello")))
      const broken = LLM.wrap(next, {
        chatStream: () => {
          throw new Error("bug")
        }
      })
      const llm = yield* AccessLog.middleware()(broken)
      const { exit, lines } = yield* captureLogs(Stream.runDrain(llm.chatStream("?")))
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      expect(only(lines).fields["outcome"]).toBe("defect")
    })
  )

  it.effect("logs an interrupted call as `interrupted` and one that dies as `defect`", () =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({}, Effect.never, Effect.dieMessage("bug"))
      const { lines } = yield* captureLogs(
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(llm.chat("?"))
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
          yield* Effect.exit(llm.chat("?"))
        })
      )
      expect(lines.map(({ fields, level }) => [level, fields["outcome"]])).toEqual([
        ["INFO", "interrupted"],
        ["WARN", "defect"]
      ])
    })
  )

  it.effect("logs an embedding call", () =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({}, "Hello")
      const { lines } = yield* captureLogs(llm.embed(["a", "b"]))
      expect(only(lines).fields).toMatchObject({ operation: "embeddings", outcome: "ok", input_tokens: 3 })
    })
  )
})

describe("the log line of a stream", () => {
  const slowStream = Stream.fromIterable(ChatEvent.fromResponse(answer("Hello there"))).pipe(
    Stream.rechunk(1),
    Stream.tap(() => Effect.sleep("10 millis"))
  )

  it.effect("logs one line at the end of a stream, with the time to its first event", () =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({}, { stream: slowStream })
      const { lines } = yield* captureLogs(
        Effect.flatMap(Effect.fork(Stream.runDrain(llm.chatStream("?"))), (fiber) =>
          Effect.zipRight(TestClock.adjust("1 second"), fiber.await)
        )
      )
      expect(only(lines).fields).toMatchObject({
        streamed: true,
        outcome: "ok",
        finish_reason: "stop",
        output_tokens: 4,
        time_to_first_event_ms: 10,
        latency_ms: 30
      })
    })
  )

  it.effect("logs the estimated usage of a stream that the consumer stops", () =>
    Effect.gen(function* () {
      const long = answer("Hello there, this is a long answer")
      const llm = yield* loggedLLM({}, { stream: Stream.rechunk(Stream.fromIterable(ChatEvent.fromResponse(long)), 1) })
      const { lines } = yield* captureLogs(Stream.runDrain(Stream.take(llm.chatStream("?"), 2)))
      expect(only(lines).fields).toMatchObject({ outcome: "interrupted", key_id: "key", estimated: true })
      expect(only(lines).fields["output_tokens"]).toBeGreaterThan(3)
    })
  )

  it.effect("logs the error of a stream that breaks", () =>
    Effect.gen(function* () {
      const broken = Stream.concat(
        Stream.take(Stream.fromIterable(ChatEvent.fromResponse(answer("Hello"))), 2),
        Stream.fail(malformed)
      )
      const llm = yield* loggedLLM({}, { stream: broken })
      const { lines } = yield* captureLogs(Stream.runDrain(llm.chatStream("?")))
      expect(only(lines).fields).toMatchObject({ outcome: "MalformedResponseError", estimated: true })
    })
  )
})

describe("options of the access log", () => {
  it.effect("logs the cost in dollars of whole and streamed answers when the price is known", () =>
    Effect.gen(function* () {
      const priced = yield* Effect.flatMap(scripted("Hello"), Pricing.middleware()).pipe(
        Effect.flatMap(AccessLog.middleware()),
        Effect.provide(Pricing.layer({ test: { model: { input: 1, output: 10 } } }))
      )
      const { lines } = yield* captureLogs(Effect.zipRight(priced.chat("?"), Stream.runDrain(priced.chatStream("?"))))
      expect(lines.map(({ fields }) => fields["cost_dollars"])).toEqual([0.000043, 0.000043])
    })
  )

  it.effect("writes a line as JSON or as text when `format` says so", () =>
    Effect.gen(function* () {
      const logLine = (format: "json" | "text") =>
        Effect.gen(function* () {
          const llm = yield* loggedLLM({ format, level: () => LogLevel.Debug }, "Hello")
          const call = AccessLog.withRequestId(llm.chat({ messages: [Chat.user("?")], model: 'of "mine"\n' }), "r 1")
          return only((yield* captureLogs(Logger.withMinimumLogLevel(call, LogLevel.Debug))).lines)
        })
      const json = yield* logLine("json")
      expect(json.level).toBe("DEBUG")
      expect(JSON.parse(json.message)).toMatchObject({
        started_at: "1970-01-01T00:00:00.000Z",
        request_id: "r 1",
        model: 'of "mine"\n',
        outcome: "ok"
      })
      const text = (yield* logLine("text")).message
      expect(
        text.startsWith('request_id="r 1" operation=chat streamed=false provider=test model="of \\"mine\\"\\n"')
      ).toBe(true)
      expect(text).not.toContain("\n")
    })
  )

  it.effect("leaves out calls that the filter rejects", () =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({ filter: ({ outcome }) => outcome !== "ok" }, "Hello", malformed)
      const { lines } = yield* captureLogs(Effect.zipRight(llm.chat("?"), Effect.exit(llm.chat("?"))))
      expect(only(lines).fields["outcome"]).toBe("MalformedResponseError")
    })
  )

  it.effect("answers the call when the logger or `level` throws", () =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({}, "Hello")
      const broken = Logger.replace(
        Logger.defaultLogger,
        Logger.make(() => {
          throw new Error("disk full")
        })
      )
      expect((yield* Effect.provide(llm.chat("?"), broken)).text).toBe("Hello")
      const throwing = yield* loggedLLM(
        {
          level: () => {
            throw new Error("bug")
          }
        },
        "Hello"
      )
      const { exit, lines } = yield* captureLogs(throwing.chat("?"))
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(only(lines).level).toBe("ERROR")
    })
  )
})

describe("the loggers of the access log", () => {
  /** Runs a call with loggers instead of the default one. */
  const callWith = (...loggers: ReadonlyArray<Logger.Logger<unknown, void>>) =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({}, slowAnswer)
      const call = Effect.zipRight(Effect.log("before", { a: 1 }), llm.chat("?")).pipe(
        Effect.annotateLogs({ tenant: "acme", request_id: "of the caller", quota: 7n, key: Redacted.make("secret") }),
        Effect.withLogSpan("request"),
        AccessLog.withRequestId("req-7")
      )
      const fiber = yield* Effect.fork(Effect.locally(call, FiberRef.currentLoggers, HashSet.fromIterable(loggers)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
    })

  it.effect("get the annotations and log spans of the caller, and those that `LogLine` makes get the same line", () =>
    Effect.gen(function* () {
      const own: Array<unknown> = []
      const effects: Array<unknown> = []
      yield* callWith(
        LogLine.structuredLogger((line) => own.push(line)),
        Logger.map(Logger.structuredLogger, (line) => void effects.push(line))
      )
      // The name of the level and the form of a bigint are those of the version of Effect.
      expect(own).toEqual(effects)
      expect(own).toMatchObject([
        { message: ["before", { a: 1 }], annotations: { tenant: "acme", request_id: "of the caller" } },
        {
          message: "llm call",
          timestamp: "1970-01-01T00:00:00.120Z",
          annotations: {
            tenant: "acme",
            key: "<redacted>",
            request_id: "req-7",
            operation: "chat",
            outcome: "ok",
            latency_ms: 120
          },
          spans: { request: 120 }
        }
      ])
    })
  )

  it.effect("get no line below the minimum log level", () =>
    Effect.gen(function* () {
      const llm = yield* loggedLLM({}, "Hello", malformed)
      const calls = Effect.zipRight(llm.chat("?"), Effect.exit(llm.chat("?")))
      const { lines } = yield* captureLogs(Logger.withMinimumLogLevel(calls, LogLevel.Warning))
      expect(only(lines).fields["outcome"]).toBe("MalformedResponseError")
    })
  )
})

describe("request ids", () => {
  it.effect("makes a new request id for each call and provides it within the call", () =>
    Effect.gen(function* () {
      const recordedIds = yield* Ref.make<ReadonlyArray<string>>([])
      const step = Effect.zipRight(
        Effect.zipRight(
          Effect.flatMap(AccessLog.requestId, (id) => Ref.update(recordedIds, (ids) => [...ids, id])),
          Effect.log("within")
        ),
        Effect.succeed(answer("Hello"))
      )
      const inner = yield* loggedLLM({}, step)
      const llm = yield* AccessLog.middleware()(inner)
      const { lines } = yield* captureLogs(Effect.zipRight(llm.chat("?"), llm.chat("?")))
      const ids = yield* Ref.get(recordedIds)
      expect(new Set(ids).size).toBe(2)
      for (const id of ids) expect(id).toMatch(/^[0-9a-f]{28}$/)
      // Three lines per call: its own log message, and one of each access log.
      expect(lines.map(({ fields }) => fields["request_id"])).toEqual(ids.flatMap((id) => [id, id, id]))
      expect(yield* AccessLog.requestId).toBe("")
    })
  )

  it.effect("logs the request id of `withRequestId` for an LLM that is built as a layer", () =>
    Effect.gen(function* () {
      const layer = Layer.effect(LLM.LLM, scripted("Hello")).pipe(LLM.withMiddleware(AccessLog.middleware()))
      const { exit, lines } = yield* captureLogs(Effect.provide(AccessLog.withRequestId(LLM.chat("?"), "one"), layer))
      expect(Exit.isSuccess(exit) ? exit.value.text : Cause.pretty(exit.cause)).toBe("Hello")
      expect(only(lines).fields["request_id"]).toBe("one")
    })
  )
})
