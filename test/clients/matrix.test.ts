/**
 * Clients of other libraries against the gateway over sockets, in front of each kind of provider. docs/gateway-protocols.md has the table of the
 * results; `UPDATE_MATRIX=1 npm run test:clients` writes it.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Record } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { Running } from "../gateway/support/gateway.js"
import { start, waitUntilIdle } from "../gateway/support/gateway.js"
import { expectSection, table } from "../matrix/documents.js"
import { ai } from "./matrix/ai.js"
import { anthropic } from "./matrix/anthropic.js"
import type { Client, Provider, Session } from "./matrix/client.js"
import { oslo, providers } from "./matrix/client.js"
import { langchain } from "./matrix/langchain.js"
import { azure, chatCompletions, responses } from "./matrix/openai.js"
import { answer, prompts, signatures, thought } from "./matrix/provider.js"

const clients: ReadonlyArray<Client> = [chatCompletions, responses, azure, anthropic, ...ai, ...langchain]

const key = "sk-client-1"

interface Case {
  readonly client: Client
  readonly provider: Provider
  readonly session: Session
  /** Another session of the client. */
  readonly connect: (target: { readonly model?: string; readonly apiKey?: string }) => Session
  readonly gateway: Running
}

/** Runs a promise, whose rejection fails the test with its reason. */
const promise = <A>(run: () => Promise<A>): Effect.Effect<A> => Effect.promise(run)

const rejection = (run: () => Promise<unknown>): Effect.Effect<unknown> =>
  promise(() =>
    run().then(
      (value) => expect.fail(`answered ${JSON.stringify(value)}`),
      (error: unknown) => error
    )
  )

/** The body of the latest request to the provider. */
const lastRequest = ({ gateway }: Case): Effect.Effect<string> =>
  Effect.map(gateway.provider.log, (log) => JSON.stringify(log.at(-1)?.body))

interface Behaviour {
  readonly name: string
  readonly check: (at: Case) => Effect.Effect<void, unknown>
  /** Whether a client has it. @default all do */
  readonly isIn?: (session: Session) => boolean
  /** Whether a provider has it. @default all do */
  readonly isAt?: (provider: Provider) => boolean
}

const tooled = (name: string, prompt: string): Behaviour => ({
  name,
  check: ({ session }) =>
    Effect.gen(function* () {
      for (const stream of [false, true]) {
        const { calls, text } = yield* promise(() => session.run(prompt, stream))
        expect(calls).toEqual(['clock {"zone":"UTC"}', 'weather {"city":"Oslo"}'])
        expect(text).toBe("The tools say: noon, rain")
      }
    })
})

/** What proves that a provider got its own reasoning back. */
const proofs: Readonly<Record<Provider, ReadonlyArray<string>>> = {
  openai: [],
  responses: [signatures[0]],
  anthropic: [thought, signatures[0]],
  gemini: [signatures[1]],
  ollama: [thought]
}

const reasoning = (name: string, stream: boolean): Behaviour => ({
  name,
  // OpenAI sends no reasoning by Chat Completions, and takes none.
  isAt: (provider) => provider !== "openai",
  check: (at) =>
    Effect.gen(function* () {
      const { calls, text } = yield* promise(() => at.session.run(prompts.reasoning, stream))
      expect(calls).toEqual(['clock {"zone":"UTC"}'])
      expect(text).toBe("The tools say: noon")
      const sent = yield* lastRequest(at)
      for (const proof of proofs[at.provider]) expect(sent).toContain(proof)
    })
})

const behaviours: ReadonlyArray<Behaviour> = [
  {
    name: "chat",
    check: ({ session }) =>
      Effect.gen(function* () {
        expect(yield* promise(() => session.ask(prompts.chat, false))).toBe("You said: Hello")
      })
  },
  {
    name: "stream",
    check: ({ session }) =>
      Effect.gen(function* () {
        expect(yield* promise(() => session.ask(prompts.chat, true))).toBe("You said: Hello")
      })
  },
  tooled("tools in steps", prompts.steps),
  tooled("parallel tools", prompts.parallel),
  {
    name: "object",
    check: ({ session }) =>
      Effect.gen(function* () {
        expect(yield* promise(() => session.object(prompts.object))).toEqual(oslo)
      })
  },
  reasoning("reasoning", false),
  reasoning("reasoning, streamed", true),
  {
    name: "embeddings",
    isIn: ({ embed }) => embed !== undefined,
    // Anthropic has none.
    isAt: (provider) => provider !== "anthropic",
    check: ({ session }) =>
      Effect.gen(function* () {
        const vectors = yield* promise(async () => session.embed?.(["a cat", "a dog"]) ?? [])
        expect(vectors.map(({ length }) => length)).toEqual([8, 8])
        expect(vectors[0]).not.toEqual(vectors[1])
      })
  },
  {
    name: "models",
    isIn: ({ models }) => models !== undefined,
    check: ({ provider, session }) =>
      Effect.gen(function* () {
        expect(yield* promise(async () => session.models?.() ?? [])).toContain(`${provider}/large`)
      })
  },
  {
    name: "error classes",
    check: ({ client, connect, gateway, session }) =>
      Effect.gen(function* () {
        const { errorName, errors } = client
        yield* gateway.provider.next(SimulatedProvider.status(429))
        const found = yield* Effect.forEach(
          [connect({ apiKey: "sk-other" }), connect({ model: "no/such/model" }), session],
          ({ ask }) =>
            Effect.map(
              rejection(() => ask(prompts.chat, false)),
              errorName
            )
        )
        expect(found).toEqual([errors[401], errors[404], errors[429]])
      })
  },
  {
    name: "abort",
    check: ({ gateway, session }) =>
      Effect.gen(function* () {
        yield* gateway.provider.next(SimulatedProvider.hang(20))
        yield* promise(() => session.abort(prompts.long).catch(() => undefined))
        yield* waitUntilIdle(gateway)
        expect((yield* gateway.provider.log).map(({ outcome }) => outcome)).toEqual(["aborted"])
      })
  }
]

// -------------------------------------------------------------------------------------
// what the clients themselves do not do
// -------------------------------------------------------------------------------------

interface Limit {
  readonly clients: ReadonlyArray<string>
  readonly behaviours: ReadonlyArray<string>
  /** The text of the failure, so that no other failure passes for it. */
  readonly failure: RegExp
  readonly note: string
}

const notReturned = /to contain '(?:c2lnbmF0dXJl|Look at the clock)/

const limits: ReadonlyArray<Limit> = [
  {
    clients: ["`ai` with `@ai-sdk/openai`, chat", "`@langchain/openai`, chat"],
    behaviours: ["reasoning", "reasoning, streamed"],
    failure: notReturned,
    note: "The client sends no reasoning back in Chat Completions."
  },
  {
    clients: ["`ai` with `@ai-sdk/openai-compatible`"],
    behaviours: ["reasoning", "reasoning, streamed"],
    failure: notReturned,
    note: "The client sends back the text of the reasoning alone, which only Ollama takes without a signature."
  },
  {
    clients: ["`openai`, Chat Completions", "`openai`, `AzureOpenAI`"],
    behaviours: ["reasoning, streamed"],
    failure: notReturned,
    note: "The helper for streams of this client keeps the last piece of the reasoning alone: collect the pieces yourself."
  },
  {
    clients: ["`ai` with `@ai-sdk/anthropic`", "`@langchain/anthropic`"],
    behaviours: ["object"],
    failure: /no tool choice|x-effect-llm-on-unsupported/,
    note: "The client forces a tool for the object, which Ollama cannot: 400 names the field and the switch, which drops it."
  }
]

const limitOf = (client: Client, behaviour: Behaviour): Limit | undefined =>
  limits.find(({ behaviours, clients }) => clients.includes(client.name) && behaviours.includes(behaviour.name))

// -------------------------------------------------------------------------------------
// the tests, and the table of their results
// -------------------------------------------------------------------------------------

const allProviders = Record.keys(providers)

/** Fails where a client cannot do what it should; absent where client or provider do not have it. */
type Outcome = Effect.Effect<Option.Option<void>, unknown>

/** A cell of the matrix, run once. */
const outcomeOf = (client: Client, provider: Provider, behaviour: Behaviour): Outcome => {
  const { check, isAt = () => true, isIn = () => true } = behaviour
  const run = Effect.gen(function* () {
    const gateway = yield* start({ provider: { answer }, access: { keys: [{ key }] } })
    const target = { url: gateway.url, apiKey: key, model: `${provider}/large` }
    const session = client.connect(target)
    if (!isIn(session) || !isAt(provider)) return Option.none()
    const connect: Case["connect"] = (changed) => client.connect({ ...target, ...changed })
    return Option.some(yield* check({ client, provider, session, connect, gateway }))
  })
  return Effect.runSync(Effect.cached(Effect.scoped(run)))
}

const rows = clients.map((client) => ({
  client,
  cells: behaviours.map((behaviour) => ({
    behaviour,
    limit: limitOf(client, behaviour),
    outcomes: Record.map(providers, (_, provider) => outcomeOf(client, provider, behaviour))
  }))
}))

for (const { cells, client } of rows) {
  describe(client.name, () => {
    for (const { behaviour, limit, outcomes } of cells) {
      const title = `${behaviour.name} works in front of %s${limit === undefined ? "" : ", or fails as documented"}`
      it.live.each(allProviders)(title, (provider) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(outcomes[provider])
          if (Exit.isSuccess(exit)) return
          if (limit === undefined) return yield* exit
          expect(Cause.pretty(exit.cause)).toMatch(limit.failure)
        })
      )
    }
  })
}

/** Where a behaviour works, with the number of the note where it does not. */
const cellOf = (
  { limit, outcomes }: (typeof rows)[number]["cells"][number],
  notes: Array<string>
): Effect.Effect<string> =>
  Effect.gen(function* () {
    const works: Array<string> = []
    const fails: Array<string> = []
    for (const provider of allProviders) {
      const exit = yield* Effect.exit(outcomes[provider])
      if (Exit.isFailure(exit)) fails.push(providers[provider])
      else if (Option.isSome(exit.value)) works.push(providers[provider])
    }
    if (fails.length === 0) return works.length === 0 ? "—" : "✓"
    const note = limit?.note ?? "It fails."
    if (!notes.includes(note)) notes.push(note)
    const mark = `[${notes.indexOf(note) + 1}]`
    return works.length === 0 ? `no ${mark}` : `not ${fails.join(", ")} ${mark}`
  })

const write: Effect.Effect<string> = Effect.gen(function* () {
  const notes: Array<string> = []
  const body = yield* Effect.forEach(rows, ({ cells, client }) =>
    Effect.map(
      Effect.forEach(cells, (cell) => cellOf(cell, notes)),
      (row) => [client.name, ...row]
    )
  )
  const head = ["client", ...behaviours.map(({ name }) => name)]
  return [table(head, body), ...notes.map((note, index) => `${index + 1}. ${note}`)]
    .join("\n\n")
    .replace(/\n\n(?=[2-9]\. )/g, "\n")
})

it.live("docs/gateway-protocols.md contains the table of clients", () =>
  expectSection("docs/gateway-protocols.md", "clients", write)
)
