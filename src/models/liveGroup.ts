/**
 * A group in service: a balance over models of the file. It keeps the state of its deployments across reloads while its entry and
 * the infos of its members are the same.
 */
import { Effect } from "effect"
import * as Balance from "../routing/Balance.js"
import type { ModelInfo, Service as LLMService } from "../call/model.js"
import type { GroupEntry, GroupStrategy } from "./fileModel.js"
import { sameValue } from "./equal.js"
import type { LiveModel } from "./liveModel.js"

export interface LiveGroup {
  readonly entry: GroupEntry
  readonly balance: Balance.Service
  readonly members: ReadonlyArray<LiveModel>
}

/** The group after a reload, and the effect that puts it into service. */
export interface Plan {
  readonly group: LiveGroup
  readonly commit: Effect.Effect<void>
}

const strategies: Readonly<Record<GroupStrategy, Balance.Strategy | Balance.Sticky>> = {
  "least-loaded": Balance.leastLoaded,
  weighted: Balance.weighted,
  "round-robin": Balance.roundRobin,
  latency: Balance.latency,
  cost: Balance.cost,
  failover: Balance.failover,
  random: Balance.random,
  sticky: Balance.sticky()
}

/** The properties of members that a balance reads when it is made. */
const memberInfos = (members: ReadonlyArray<LiveModel>): ReadonlyArray<ModelInfo> => members.map(({ llm }) => llm.info)

/** The reader of the file has checked the group, so a refusal is a defect. */
const makeBalance = (
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

/** Returns changed members to service at once, except those that were disabled by hand. */
const enableChanged = (before: LiveGroup, members: ReadonlyArray<LiveModel>): Effect.Effect<void> =>
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
 * Plans a group, reusing the previous one when possible. `llmOf` returns the service for the calls to a member. Nothing changes
 * until the plan is committed.
 */
export const plan = (
  entry: GroupEntry,
  models: ReadonlyMap<string, LiveModel>,
  llmOf: (model: string) => LLMService | undefined,
  previous?: LiveGroup
): Effect.Effect<Plan> => {
  const members = entry.members.flatMap(({ model }) => models.get(model) ?? [])
  if (
    previous !== undefined &&
    sameValue(entry, previous.entry) &&
    sameValue(memberInfos(members), memberInfos(previous.members))
  ) {
    return Effect.succeed({
      group: { entry, balance: previous.balance, members },
      commit: enableChanged(previous, members)
    })
  }
  return Effect.map(makeBalance(entry, llmOf), (balance) => ({
    group: { entry, balance, members },
    commit: Effect.void
  }))
}
