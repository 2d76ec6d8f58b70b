import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FastCheck from "fast-check"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Conversation from "../../src/programs/Conversation.js"
import type { LLM } from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as TestLLM from "../../src/testing/TestLLM.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"
import { chatRequest, chatResponse } from "../wire/generators.js"

// -------------------------------------------------------------------------------------
// histories in which every result follows its call
// -------------------------------------------------------------------------------------

const userMessage = chatRequest("test").map(
  ({ messages }): Chat.Message => messages.find((message) => message.role === "user") ?? Chat.user("?")
)

const pinned: FastCheck.Arbitrary<ReadonlyArray<Chat.Message>> = FastCheck.array(
  FastCheck.record({
    role: FastCheck.constantFrom("system" as const, "developer" as const),
    content: FastCheck.string({ maxLength: 8 })
  }),
  { maxLength: 1 }
)

/** An answer and the results of its calls in any order; sometimes a user message comes before the results. */
const round: FastCheck.Arbitrary<ReadonlyArray<Chat.Message>> = FastCheck.tuple(
  chatResponse("test"),
  FastCheck.string({ maxLength: 80 }),
  FastCheck.boolean(),
  FastCheck.integer({ min: 0, max: 9 }),
  pinned
).map(([response, result, reversed, chance, between]) => {
  const results = response.toolCalls.map((call) => Chat.toolResult(call, result))
  return [
    Chat.toMessage(response),
    ...between,
    ...(chance === 0 && results.length > 0 ? [Chat.user("Are you there?")] : []),
    ...(reversed ? results.toReversed() : results)
  ]
})

const turn = FastCheck.tuple(pinned, userMessage, FastCheck.array(round, { maxLength: 3 })).map(
  ([before, user, rounds]) => [...before, user, ...rounds.flat()]
)

const histories: FastCheck.Arbitrary<ReadonlyArray<Chat.Message>> = FastCheck.tuple(
  pinned,
  FastCheck.array(round, { maxLength: 1 }),
  FastCheck.array(turn, { maxLength: 6 }),
  pinned
).map(([opening, greeting, turns, closing]) => [...opening, ...greeting.flat(), ...turns.flat(), ...closing])

/** Budgets as shares of the history's tokens, from none to more than all. */
const shares = FastCheck.double({ min: 0, max: 1.1, noNaN: true })

// -------------------------------------------------------------------------------------
// strategies
// -------------------------------------------------------------------------------------

type Strategy = Conversation.Strategy<LLMError, LLM>

const strategies: ReadonlyArray<readonly [name: string, strategy: Strategy]> = [
  ["keepNewest", Conversation.keepNewest],
  ["keepFirst", Conversation.keepFirst(2)],
  ["dropToolOutputs", Conversation.dropToolOutputs],
  ["summarize", Conversation.summarize()],
  ["one that keeps every other turn", ({ turns }) => Effect.succeed(turns.filter((_, index) => index % 2 === 0))],
  ["one that keeps all", ({ turns }) => Effect.succeed(turns)],
  ["one that keeps nothing", () => Effect.succeed([])]
]

const tokens = (messages: ReadonlyArray<Chat.Message>): Effect.Effect<number> =>
  Effect.map(TokenCounter.count(messages, ""), (count) => count.tokens)

const trimmed = (history: ReadonlyArray<Chat.Message>, budget: number, strategy: Strategy) =>
  Effect.provide(Conversation.trim(history, { budget, strategy }), TestLLM.layer(["They said hello."], { loop: true }))

/** Trims a history to a share of its tokens. */
const cut = (history: ReadonlyArray<Chat.Message>, share: number, strategy: Strategy) =>
  Effect.gen(function* () {
    const budget = Math.floor((yield* tokens(history)) * share)
    return { budget, kept: yield* trimmed(history, budget, strategy) }
  })

const isPinned = (message: Chat.Message): boolean => message.role === "system" || message.role === "developer"

/** Calls that no result follows, and results that follow no call. */
const unpaired = (messages: ReadonlyArray<Chat.Message>): ReadonlyArray<string> => {
  const open = new Map<string, number>()
  const faults: Array<string> = []
  for (const message of messages) {
    if (message.role === "assistant") {
      for (const call of Chat.toolCallsOf(message.content)) open.set(call.id, (open.get(call.id) ?? 0) + 1)
    }
    if (message.role === "tool") {
      const calls = open.get(message.toolCallId) ?? 0
      if (calls === 0) faults.push(`result ${message.toolCallId}`)
      open.set(message.toolCallId, Math.max(0, calls - 1))
    }
  }
  return [...faults, ...[...open].filter(([, calls]) => calls > 0).map(([id]) => `call ${id}`)]
}

/** Whether the kept messages occur in the history in the same order. Tool results are compared by their call only. */
const isSubsequence = (kept: ReadonlyArray<Chat.Message>, history: ReadonlyArray<Chat.Message>): boolean => {
  let from = 0
  return kept.every((message) => {
    const at = history.findIndex(
      (original, index) =>
        index >= from &&
        (original === message ||
          (original.role === "tool" && message.role === "tool" && original.toolCallId === message.toolCallId))
    )
    from = at + 1
    return at >= 0
  })
}

/** Tests a law of every strategy, for any history and budget. */
const law = (
  title: string,
  holds: (
    cut: {
      readonly history: ReadonlyArray<Chat.Message>
      readonly budget: number
      readonly kept: ReadonlyArray<Chat.Message>
    },
    strategy: Strategy,
    name: string
  ) => Effect.Effect<void, LLMError>
) =>
  it.effect.prop(
    title,
    [histories, shares],
    ([history, share]) =>
      Effect.forEach(
        strategies,
        ([name, strategy]) =>
          Effect.flatMap(cut(history, share, strategy), (cut) => holds({ history, ...cut }, strategy, name)),
        { discard: true }
      ),
    // Seven strategies each.
    { fastCheck: { numRuns: 30 } }
  )

describe("Conversation.trim, laws of all strategies", () => {
  it("generates histories with tool results and system messages, each result behind its call", () => {
    const sample = FastCheck.sample(histories, { numRuns: 60, seed: 1 })
    expect(sample.every((history) => unpaired(history).length === 0)).toBe(true)
    expect(sample.some((history) => history.filter((message) => message.role === "tool").length > 3)).toBe(true)
    expect(sample.some((history) => history.filter(isPinned).length > 3)).toBe(true)
  })
  law("keeps every tool result together with its call", ({ kept }, _, name) =>
    Effect.sync(() => {
      expect(unpaired(kept), name).toEqual([])
    })
  )
  law("keeps all system messages in their order", ({ history, kept }, _, name) =>
    Effect.sync(() => {
      expect(kept.filter(isPinned), name).toEqual(history.filter(isPinned))
    })
  )
  law("stays within the budget unless the last turn alone is over it", ({ budget, history, kept }, _, name) =>
    Effect.gen(function* () {
      const least = yield* tokens(yield* trimmed(history, 0, Conversation.keepNewest))
      expect(yield* tokens(kept), name).toBeLessThanOrEqual(Math.max(least, budget))
    })
  )
  law("keeps messages in their order", ({ history, kept }, _, name) =>
    Effect.sync(() => {
      const original =
        name === "summarize" ? kept.filter((message) => history.includes(message) || isPinned(message)) : kept
      expect(isSubsequence(original, history), name).toBe(true)
    })
  )
  law("trimming a trimmed history changes nothing", ({ budget, kept }, strategy, name) =>
    Effect.gen(function* () {
      expect(yield* trimmed(kept, budget, strategy), name).toEqual(kept)
    })
  )
  law("returns a history within the budget unchanged", ({ history }, strategy, name) =>
    Effect.gen(function* () {
      expect(yield* trimmed(history, yield* tokens(history), strategy), name).toBe(history)
    })
  )
  law("removes messages only when the history is over the budget", ({ budget, history, kept }, _, name) =>
    Effect.gen(function* () {
      if (kept !== history) expect(yield* tokens(history), name).toBeGreaterThan(budget)
    })
  )
})

describe("Conversation.snapshot, laws", () => {
  it.effect.prop(
    "restores any history from its snapshot",
    [histories],
    ([history]) =>
      Effect.gen(function* () {
        const conversation = yield* Conversation.make({ messages: history })
        const restored = yield* Conversation.restore(yield* conversation.snapshot)
        expect(yield* restored.messages).toEqual(history)
      }),
    { fastCheck: { numRuns: 30 } }
  )
})
