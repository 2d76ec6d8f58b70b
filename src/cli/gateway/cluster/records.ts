/** The changes at run time that the primary process keeps for workers that start later. */
import { Effect, Ref, Schema } from "effect"
import { isRecord } from "../../../wire/json.js"
import type { KeyChange, Question } from "./protocol.js"
import { KeyChanges } from "./protocol.js"

type Perform = Extract<Question, { readonly _tag: "Perform" }>

interface State {
  /** By the hashes of keys. */
  readonly keyChanges: ReadonlyMap<string, KeyChange>
  /** The last action on each state or weight. */
  readonly actions: ReadonlyMap<string, Perform>
}

export interface Records {
  /** Keeps what a worker that starts later has to know. */
  readonly record: (question: Question) => Effect.Effect<void>
  /** The client keys that were made or revoked, as plain data. */
  readonly keyChanges: Effect.Effect<unknown>
  /** The actions of the administration that are in effect. */
  readonly actions: Effect.Effect<ReadonlyArray<Perform>>
}

const encodeKeyChanges = Schema.encode(KeyChanges)

/** What a lasting action sets; undefined for one that ends by itself, such as a cooldown. */
const targetOf = ({ body, path }: Perform): string | undefined => {
  const [, scope, verb] = /^\/admin\/(pools|deployments)\/(disable|enable|reweight)$/.exec(path) ?? []
  if (scope === undefined || !isRecord(body)) return undefined
  return JSON.stringify([
    scope,
    verb === "reweight" ? "weight" : "state",
    body["model"],
    body["key"] ?? body["deployment"]
  ])
}

export const make: Effect.Effect<Records> = Effect.map(
  Ref.make<State>({ keyChanges: new Map(), actions: new Map() }),
  (state): Records => ({
    record: (question) =>
      Ref.update(state, (all): State => {
        if (question._tag === "ChangeKey") {
          return { ...all, keyChanges: new Map(all.keyChanges).set(question.change.key.hash, question.change) }
        }
        const target = question._tag === "Perform" ? targetOf(question) : undefined
        return target === undefined || question._tag !== "Perform"
          ? all
          : { ...all, actions: new Map(all.actions).set(target, question) }
      }),
    keyChanges: Effect.flatMap(Ref.get(state), ({ keyChanges }) =>
      // Every change can be encoded: it was decoded by the same schema.
      Effect.orDie(encodeKeyChanges([...keyChanges.values()]))
    ),
    actions: Effect.map(Ref.get(state), ({ actions }) => [...actions.values()])
  })
)
