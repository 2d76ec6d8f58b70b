/** How much a model reasons, from each protocol to each other one. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as FastCheck from "fast-check"
import type { Reasoning } from "../../src/vocabulary/Chat.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import type { Effort } from "../../src/wire/effort.js"
import { budgetOf, budgets, closestEffort, effortOf, effortOfBudget } from "../../src/wire/effort.js"
import * as Gemini from "../../src/wire/Gemini.js"
import type { ClientWire, ServerWire } from "../../src/wire/Wire.js"
import * as Responses from "../../src/wire/Responses.js"

type Json = Readonly<Record<string, unknown>>

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const

const effort = FastCheck.constantFrom(...efforts)

describe("efforts", () => {
  it("have larger budgets in their order", () => {
    expect(Object.entries(budgets).sort(([, one], [, other]) => one - other)).toEqual(
      efforts.map((each) => [each, budgets[each]])
    )
  })
  it.prop(
    "are written as they are where they are supported, and else as a supported one",
    [effort, FastCheck.uniqueArray(effort)],
    ([requested, supported]) => {
      const closest = closestEffort(requested, supported)
      expect(closest).toBe(supported.includes(requested) ? requested : closest)
      expect(
        supported.length === 0 ? closest === undefined : closest !== undefined && supported.includes(closest)
      ).toBe(true)
    }
  )
  it("become the higher one of two that are equally close", () => {
    expect(closestEffort("xhigh", ["max", "high"])).toBe("max")
    expect(closestEffort("minimal", ["none", "low"])).toBe("low")
    expect(closestEffort("none", ["minimal", "low"])).toBe("minimal")
  })
  it("of a budget are those that every model has, and the lowest that reach it", () => {
    expect([0, 1, 2048, 2049, 8192, 8193, 100_000].map(effortOfBudget)).toEqual([
      "none",
      "low",
      "low",
      "medium",
      "medium",
      "high",
      "high"
    ])
  })
  it("and budgets give each other only where one of them is missing", () => {
    const reasoning: Reasoning = { effort: "low", budgetTokens: 9000 }
    expect([effortOf(reasoning), budgetOf(reasoning)]).toEqual(["low", 9000])
    expect([effortOf({ budgetTokens: 9000 }), budgetOf({ effort: "low" })]).toEqual(["high", 2048])
    expect([effortOf({}), budgetOf({ summary: "auto" })]).toEqual([undefined, undefined])
  })
})

const messages = [{ role: "user", content: "?" }]

interface Source {
  readonly wire: ServerWire
  readonly body: (effort: Effort, budget: number) => Json
  readonly path?: string
}

/** An effort, or a budget where the protocol has no efforts, as a client of each protocol sends it. */
const sources: Readonly<Record<string, Source>> = {
  "chat-completions": { wire: ChatCompletions.server(), body: (effort) => ({ messages, reasoning_effort: effort }) },
  responses: { wire: Responses.server(), body: (effort) => ({ input: "?", reasoning: { effort } }) },
  "adaptive Anthropic": {
    wire: Anthropic.server(),
    body: (effort) => ({ messages, max_tokens: 64_000, thinking: { type: "adaptive" }, output_config: { effort } })
  },
  "Anthropic with a budget": {
    wire: Anthropic.server(),
    body: (_, budget) => ({ messages, max_tokens: 64_000, thinking: { type: "enabled", budget_tokens: budget } })
  },
  "Gemini with a level": {
    wire: Gemini.server(),
    path: "/v1beta/models/m:generateContent",
    body: (effort) => ({
      contents: [{ role: "user", parts: [{ text: "?" }] }],
      generationConfig: { thinkingConfig: { thinkingLevel: effort.toUpperCase() } }
    })
  },
  "Gemini with a budget": {
    wire: Gemini.server(),
    path: "/v1beta/models/m:generateContent",
    body: (_, budget) => ({
      contents: [{ role: "user", parts: [{ text: "?" }] }],
      generationConfig: { thinkingConfig: { thinkingBudget: budget } }
    })
  }
}

const at = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Json | undefined)?.[key], value)

interface Target {
  readonly wire: ClientWire
  readonly model: string
  readonly read: (body: Json) => unknown
  /** What low, medium and high are there. */
  readonly expected: ReadonlyArray<unknown>
  /** The same for budgets. @default `expected` */
  readonly ofBudget?: ReadonlyArray<unknown>
}

const levels = ["low", "medium", "high"] as const

const targets: Readonly<Record<string, Target>> = {
  "chat-completions": {
    wire: ChatCompletions.client(),
    model: "gpt-5",
    read: (body) => body["reasoning_effort"],
    expected: levels
  },
  responses: {
    wire: Responses.client(),
    model: "o3",
    read: (body) => at(body, "reasoning", "effort"),
    expected: levels
  },
  "adaptive Anthropic": {
    wire: Anthropic.client(),
    model: "claude-opus-5",
    read: (body) => [at(body, "thinking", "type"), at(body, "output_config", "effort")],
    expected: levels.map((level) => ["adaptive", level])
  },
  "Anthropic with a budget": {
    wire: Anthropic.client(),
    model: "claude-sonnet-4-5",
    read: (body) => at(body, "thinking", "budget_tokens"),
    expected: [2048, 8192, 16_384]
  },
  "Gemini with a level": {
    wire: Gemini.client(),
    model: "gemini-3-flash",
    read: (body) => at(body, "generationConfig", "thinkingConfig"),
    expected: levels.map((level) => ({ thinkingLevel: level.toUpperCase() })),
    ofBudget: [2048, 8192, 16_384].map((thinkingBudget) => ({ thinkingBudget }))
  },
  "Gemini with a budget": {
    wire: Gemini.client(),
    model: "gemini-2.5-flash",
    read: (body) => at(body, "generationConfig", "thinkingConfig", "thinkingBudget"),
    expected: [2048, 8192, 16_384]
  }
}

const translated = (source: Source, target: Target, requested: Effort): unknown =>
  Either.getOrThrowWith(
    Either.flatMap(
      source.wire.decodeRequest(source.body(requested, budgets[requested]), { path: source.path ?? "", headers: {} }),
      ({ request: { model: _, ...request } }) =>
        Either.map(
          target.wire.encodeRequest(request, { provider: "p", model: target.model, stream: false }),
          ({ body }) => target.read(body)
        )
    ),
    (failure) => new Error(JSON.stringify(failure))
  )

describe("low, medium and high", () => {
  for (const [from, source] of Object.entries(sources)) {
    for (const [to, target] of Object.entries(targets)) {
      it(`are the same from ${from} to ${to}`, () => {
        const expected = /budget/.test(from) ? (target.ofBudget ?? target.expected) : target.expected
        expect(levels.map((level) => translated(source, target, level))).toEqual(expected)
      })
    }
  }
})

describe("an effort that a model does not have", () => {
  const toOpenAI = (model: string, requested: Effort) =>
    translated(
      { wire: Responses.server(), body: () => ({ input: "?", reasoning: { effort: requested } }) },
      { wire: ChatCompletions.client(), model, read: (body) => body["reasoning_effort"], expected: [] },
      requested
    )
  it.each([
    ["o4-mini", ["low", "low", "low", "medium", "high", "high", "high"]],
    ["openai/gpt-oss-120b", ["low", "low", "low", "medium", "high", "high", "high"]],
    ["gpt-5-pro", ["high", "high", "high", "high", "high", "high", "high"]],
    ["gpt-5-mini-2025-08-07", ["minimal", "minimal", "low", "medium", "high", "high", "high"]],
    ["gpt-5.1", ["none", "low", "low", "medium", "high", "high", "high"]],
    ["gpt-5.1-codex", ["low", "low", "low", "medium", "high", "high", "high"]],
    ["gpt-5.1-codex-max", ["low", "low", "low", "medium", "high", "xhigh", "xhigh"]],
    ["gpt-5.2", ["none", "low", "low", "medium", "high", "xhigh", "xhigh"]],
    ["a-model-of-tomorrow", efforts]
  ])("is the closest one that %s has", (model, expected) => {
    expect(efforts.map((requested) => toOpenAI(model, requested))).toEqual(expected)
  })

  const gemini = (model: string, reasoning: Reasoning) =>
    Either.map(
      Gemini.client().encodeRequest(
        { messages: [{ role: "user", content: "?" }], reasoning },
        { provider: "p", model, stream: false }
      ),
      ({ body }) => at(body, "generationConfig", "thinkingConfig")
    )
  it("is the closest level of Gemini, and a budget within its range", () => {
    const cases = [
      ["gemini-3-pro-preview", { effort: "minimal" }, { thinkingLevel: "LOW" }],
      ["gemini-3-pro-preview", { effort: "medium" }, { thinkingLevel: "HIGH" }],
      ["gemini-3.1-pro-preview", { effort: "medium" }, { thinkingLevel: "MEDIUM" }],
      ["gemini-3-flash", { effort: "max" }, { thinkingLevel: "HIGH" }],
      ["gemini-2.5-pro", { effort: "none" }, { thinkingBudget: 128 }],
      ["gemini-2.5-pro", { budgetTokens: 40_000 }, { thinkingBudget: 32_768 }],
      ["gemini-2.5-flash", { budgetTokens: 31_999 }, { thinkingBudget: 24_576 }],
      ["gemini-2.5-flash-lite", { budgetTokens: 100 }, { thinkingBudget: 512 }],
      ["gemini-2.5-flash-lite", { effort: "none" }, { thinkingBudget: 0 }]
    ] as const
    for (const [model, reasoning, expected] of cases) {
      expect([model, gemini(model, reasoning)]).toEqual([model, Either.right(expected)])
    }
  })

  it("is not sent for a budget to a model of OpenAI that does not reason", () => {
    const body = (reasoning: Reasoning, model: string) =>
      Either.map(
        ChatCompletions.client().encodeRequest(
          { messages: [{ role: "user", content: "?" }], reasoning },
          { provider: "p", model, stream: false }
        ),
        ({ body }) => body["reasoning_effort"]
      )
    expect(body({ budgetTokens: 5000 }, "gpt-4o")).toEqual(Either.right(undefined))
    expect(body({ effort: "low" }, "gpt-4o")).toEqual(Either.right("low"))
  })
})
