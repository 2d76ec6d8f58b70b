import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Ref } from "effect"
import { Line } from "../../src/cli/terminal/stdin.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { until } from "../support/eventually.js"
import { fileOf, prepareCli, runCli } from "./support.js"

describe("chat", () => {
  it.scopedLive("keeps the history, clears it, switches the model, and saves and loads the conversation", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages, model }) => `${model} has heard ${messages.length}`
      })
      const { config, folder } = yield* fileOf(provider)
      const saved = `${folder}/talk.json`
      const first = yield* runCli(["chat", "-c", config, "--system", "Be brief."], {
        typed: [
          "one",
          "two \\",
          "lines",
          "/model gpt-4o-mini",
          "three",
          `/save ${saved}`,
          "/clear",
          "four",
          "/exit",
          "no"
        ]
      })
      expect(first.code).toBe(0)
      expect(first.out).toBe(
        "gpt-4o has heard 2\ngpt-4o has heard 4\ngpt-4o-mini has heard 6\ngpt-4o-mini has heard 2\n"
      )
      expect((yield* provider.log)[1]?.body).toMatchObject({ messages: [{}, {}, {}, { content: "two \nlines" }] })
      const second = yield* runCli(["chat", "-c", config, "--load", saved], { typed: ["five", "/history"] })
      expect(second.out).toMatch(/^gpt-4o has heard 8\nsystem: Be brief\.\nuser: one\n/)
    })
  )

  it.scopedLive("renders the history on a terminal like the answers, below who said it", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "**Paris** is\n\n- old" })
      const { config } = yield* fileOf(provider)
      const { out } = yield* runCli(["chat", "-c", config, "--system", "Be brief."], {
        terminal: true,
        colour: false,
        typed: ["Where?", "/history"]
      })
      expect(out.slice(out.indexOf("System")).trimEnd()).toBe(
        "System\nBe brief.\nYou\nWhere?\nAssistant\nParis is\n\n• old"
      )
    })
  )

  it.scopedLive("notes that the provider of the environment does not list the model that /model names", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ models: ["gpt-4o", "gpt-4o-mini"] })
      const env = { OPENAI_API_KEY: "k", OPENAI_BASE_URL: provider.baseUrl }
      const chat = (name: string) => runCli(["chat"], { env, typed: [`/model openai/${name}`, "Hello"] })
      const wrong = yield* chat("gpt-4p")
      expect(wrong.err).toContain("openai does not list gpt-4p. Did you mean gpt-4o?")
      expect(wrong.out).toContain("You said: Hello")
      expect((yield* chat("gpt-4o-mini")).err).not.toContain("does not list")
    })
  )

  it.scopedLive("continues the chat after a failed call and after invalid commands", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: ({ messages }) => `heard ${messages.length}` })
      const { config } = yield* fileOf(provider)
      yield* provider.next(SimulatedProvider.status(400))
      const { code, err, out } = yield* runCli(["chat", "-c", config], {
        typed: ["one", "/nope", "/constructor", "/model nope", "/load /nowhere", "/save", "two"]
      })
      expect({ code, out }).toEqual({ code: 0, out: "heard 1\n\n" })
      for (const message of [
        "There is no /nope",
        "There is no /constructor",
        '"nope"',
        "/nowhere does not exist",
        "/save <file>"
      ])
        expect(err).toContain(message)
    })
  )

  it.scopedLive("cancels the answer at Ctrl-C, continues the chat and drops the question from the history", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages }) => `heard ${messages.length} and more and more and more`
      })
      yield* provider.next(SimulatedProvider.hang(6))
      const { config } = yield* fileOf(provider)
      const presses = yield* Queue.unbounded<void>()
      const program = yield* prepareCli(["chat", "-c", config], {
        typed: ["one", "two"],
        interruption: Queue.take(presses)
      })
      const running = yield* Effect.fork(program.result)
      yield* until(Ref.get(program.out), (out) => out.includes("and"))
      yield* presses.offer(undefined)
      const { code, err } = yield* Fiber.join(running)
      expect(code).toBe(0)
      expect(err).toContain("Stopped.")
      const log = yield* until(provider.log, (log) => log.length === 2)
      expect(log.map(({ outcome }) => outcome)).toEqual(["aborted", "complete"])
      // The stopped question is not part of the conversation.
      expect(log[1]?.body).toMatchObject({ messages: [{ content: "two" }] })
    })
  )

  it.scopedLive("exits chat with 0 at Ctrl-C and at Ctrl-D", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config } = yield* fileOf(provider)
      expect((yield* runCli(["chat", "-c", config], { typed: [Line.Interrupted(), "no"] })).code).toBe(0)
      expect((yield* runCli(["chat", "-c", config])).code).toBe(0)
      expect(yield* provider.log).toEqual([])
    })
  )
})
