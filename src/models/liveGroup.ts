/**
 * A group of a file as it stands: a balance over models of the file. It goes on, with all that it knows of its members, for as
 * long as what it was made of is the same.
 */
import { Effect } from "effect"
import * as Balance from "../routing/Balance.js"
import type { ModelInfo, Service as LLMService } from "../call/model.js"
import type { GroupEntry, GroupStrategy } from "./fileModel.js"
import { sameValue } from "./equal.js"
import type { Standing } from "./liveModel.js"

export interface LiveGroup {
  readonly entry: GroupEntry
  readonly balance: Balance.Service
  readonly members: ReadonlyArray<Standing>
}

/** What will stand, and what is to be done once it is certain that it will. */
export interface Plan {
  readonly standing: LiveGroup
  readonly commit: Effect.Effect<void>
}

const strategies: Readonly<Record<GroupStrategy, Balance.Strategy>> = {
  "least-loaded": Balance.leastLoaded,
  weighted: Balance.weighted,
  "round-robin": Balance.roundRobin,
  latency: Balance.latency,
  cost: Balance.cost,
  failover: Balance.failover,
  random: Balance.random
}

/** What a balance asks of its members when it is made. */
const infos = (members: ReadonlyArray<Standing>): ReadonlyArray<ModelInfo> => members.map(({ llm }) => llm.info)

/** The reader of the file has checked the group: one that is refused even so is a fault of this module. */
const made = (
  { members, strategy }: GroupEntry,
  llmOf: (model: string) => LLMService | undefined
): Effect.Effect<Balance.Service> =>
  Effect.orDie(
    Balance.make(
      members.flatMap(({ model, ...member }) => {
        const llm = llmOf(model)
        return llm === undefined ? [] : [{ ...member, llm, id: model }]
      }),
      { strategy: strategies[strategy] }
    )
  )

/** A member that is another now is asked again at once, unless it was taken out by hand. */
const renew = (before: LiveGroup, members: ReadonlyArray<Standing>): Effect.Effect<void> =>
  Effect.flatMap(before.balance.deployments, (deployments) =>
    Effect.forEach(
      deployments.filter(({ state }, position) => {
        return state._tag !== "Disabled" && members[position] !== before.members[position]
      }),
      ({ id }) => before.balance.enable(id),
      { discard: true }
    )
  )

/**
 * Plans a group over what stood under its name until now. `llmOf` is where the calls to a model go, be it as it stands at that
 * time. Nothing is touched until the plan is committed.
 */
export const plan = (
  entry: GroupEntry,
  models: ReadonlyMap<string, Standing>,
  llmOf: (model: string) => LLMService | undefined,
  previous?: LiveGroup
): Effect.Effect<Plan> => {
  const members = entry.members.flatMap(({ model }) => models.get(model) ?? [])
  if (
    previous !== undefined &&
    sameValue(entry, previous.entry) &&
    sameValue(infos(members), infos(previous.members))
  ) {
    return Effect.succeed({
      standing: { entry, balance: previous.balance, members },
      commit: renew(previous, members)
    })
  }
  return Effect.map(made(entry, llmOf), (balance) => ({
    standing: { entry, balance, members },
    commit: Effect.void
  }))
}
