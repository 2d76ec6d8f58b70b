/** The six main figures, and a table of them by minute. */
import type { Percentiles, Snapshot } from "../snapshot.js"
import { setAttribute, keyedChildren, element, setText } from "./dom.js"
import type { Figures } from "./figures.js"
import { sumOf } from "./figures.js"
import * as Format from "./format.js"
import type { View } from "./view.js"
import { bucketsOf } from "./view.js"

interface Tile {
  readonly name: string
  readonly value: string
  readonly more: string
  readonly mood?: "bad" | "good"
}

const percentileTile = (name: string, times: Percentiles | undefined): Tile =>
  times === undefined
    ? { name, value: "–", more: "nothing measured" }
    : {
        name,
        value: Format.duration(times.p95),
        more: `p50 ${Format.duration(times.p50)} · p99 ${Format.duration(times.p99)}`
      }

const tilesOf = ({ at, inFlight }: Snapshot, figures: Figures, view: View): ReadonlyArray<Tile> => {
  const sums = sumOf(bucketsOf(view))
  const lastMinute = sumOf(figures.between(at - 60_000, Infinity))
  const share = sums.requests === 0 ? 0 : sums.failed / sums.requests
  const unpriced =
    sums.unpricedTokens > 0 ? `${Format.count(sums.unpricedTokens)} tokens unpriced` : "all tokens priced"
  return [
    {
      name: "Requests",
      value: Format.count(sums.requests),
      more: `${Format.count(lastMinute.requests)} in the last minute · ${inFlight} now`
    },
    {
      name: "Errors",
      value: Format.percent(share),
      more: `${Format.count(sums.failed)} failed`,
      ...(share >= 0.05 ? { mood: "bad" as const } : {})
    },
    percentileTile("Latency p95", view.times.latency),
    percentileTile("First token p95", view.times.firstEvent),
    {
      name: "Tokens",
      value: Format.count(sums.inputTokens + sums.outputTokens),
      more: `${Format.count(sums.inputTokens)} in · ${Format.count(sums.outputTokens)} out`
    },
    { name: "Cost", value: Format.cost(sums.cost, sums.unpricedTokens), more: unpriced }
  ]
}

export const mount = (parent: Element): ((snapshot: Snapshot, figures: Figures, view: View) => void) => {
  const update = keyedChildren<Tile>(
    parent,
    ({ name }) => name,
    ({ name }) => {
      const value = element("dd", { class: "value" })
      const more = element("dd", { class: "more" })
      const node = element("div", { class: "card tile" }, element("dt", {}, name), value, more)
      return {
        node,
        update: (tile) => {
          setText(value, tile.value)
          setText(more, tile.more)
          setAttribute(node, "data-mood", tile.mood ?? "")
        }
      }
    }
  )
  return (snapshot, figures, view) => update(tilesOf(snapshot, figures, view))
}

/** The highest p95 of a minute's buckets, because percentiles cannot be added up. */
const worstP95 = (all: ReadonlyArray<Percentiles | undefined>): string => {
  const p95s = all.flatMap((times) => (times === undefined ? [] : [times.p95]))
  return p95s.length === 0 ? "–" : Format.duration(Math.max(...p95s))
}

export const mountTable = (parent: Element): ((figures: Figures, now: number) => void) => {
  const update = keyedChildren<ReadonlyArray<string>>(
    parent,
    ([minute]) => minute ?? "",
    ([minute, ...cells]) => {
      const nodes = cells.map(() => element("td"))
      return {
        node: element("tr", {}, element("th", { scope: "row" }, minute ?? ""), ...nodes),
        update: ([, ...values]) => values.forEach((value, index) => nodes[index] && setText(nodes[index], value))
      }
    }
  )
  return (figures, now) =>
    update(
      figures.steps(60_000, 10, now).map(([start, buckets]) => {
        const { cost, failed, inputTokens, outputTokens, requests, unpricedTokens } = sumOf(buckets)
        return [
          Format.clock(start),
          Format.count(requests),
          Format.count(failed),
          Format.count(inputTokens + outputTokens),
          Format.cost(cost, unpricedTokens),
          worstP95(buckets.map(({ latency }) => latency)),
          worstP95(buckets.map(({ firstEvent }) => firstEvent))
        ]
      })
    )
}
