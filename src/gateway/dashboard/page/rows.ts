/** Tables of keys and of deployments, each row with how it stands and what can be done with it. */
import type { Deployment, Key } from "../snapshot.js"
import type { Actions } from "./actions.js"
import type { View } from "./dom.js"
import { attribute, element, meter, show, write } from "./dom.js"
import * as Format from "./format.js"

/** What a view needs besides its value. */
export interface Context {
  readonly now: () => number
  readonly mayAct: () => boolean
  readonly actions: Actions
}

// -------------------------------------------------------------------------------------
// tables
// -------------------------------------------------------------------------------------

/** A cell says its column's name by itself where there is no room for columns. Roles stay, however it is laid out. */
const cell = (column: string, ...children: ReadonlyArray<Node | string>): HTMLTableCellElement =>
  element("td", { role: "cell", "data-column": column }, ...children)

export const table = (
  caption: string,
  columns: ReadonlyArray<string>,
  body: HTMLTableSectionElement
): HTMLTableElement =>
  element(
    "table",
    { role: "table" },
    element("caption", { class: "hidden" }, caption),
    element(
      "thead",
      { role: "rowgroup" },
      element(
        "tr",
        { role: "row" },
        ...columns.map((name) => element("th", { scope: "col", role: "columnheader" }, name))
      )
    ),
    body
  )

export const rows = (): HTMLTableSectionElement => element("tbody", { role: "rowgroup" })

const reasons: Readonly<Record<string, string>> = {
  "rate-limited": "rate limited",
  resting: "resting",
  "out-of-quota": "out of quota",
  refused: "refused by the provider",
  "by-hand": "by hand"
}

/** The state and, where it is not in order, why and for how long. */
const badge = () => {
  const word = element("b")
  const why = element("span")
  const node = element("span", { class: "badge" }, element("i", { "aria-hidden": "true" }), word, why)
  return {
    node,
    set: (state: string, until: number | undefined, reason: string | undefined, now: number): void => {
      attribute(node, "data-state", state)
      write(word, state)
      const left = until === undefined ? [] : [Format.span(until - now)]
      write(
        why,
        [...left, ...(reason === undefined ? [] : [reasons[reason] ?? reason])].map((part) => ` · ${part}`).join("")
      )
    }
  }
}

const load = (label: string) => {
  const bar = meter(label)
  const text = element("span")
  return {
    node: element("div", { class: "load" }, bar.node, text),
    set: (inFlight: number, most: number | undefined): void => {
      const told = most === undefined ? `${inFlight} now` : `${inFlight} of ${Format.count(most)}`
      bar.set(most === undefined ? Math.min(1, inFlight / 10) : inFlight / most, told)
      write(text, told)
    }
  }
}

// -------------------------------------------------------------------------------------
// actions
// -------------------------------------------------------------------------------------

export const actionColumn = (): HTMLTableCellElement =>
  element("th", { scope: "col", role: "columnheader", class: "acting" }, "Actions")

type Act = readonly [name: string, act: () => void]

/** The buttons of a row: to take it out of use, to bring it back, and others. `of`: what they act on, for those who only hear it. */
const acting = (of: string, disables: () => void, enables: () => void, others: ReadonlyArray<Act>) => {
  const button = (name: string, act: () => void): HTMLButtonElement => {
    const made = element("button", { type: "button", class: "small", "aria-label": `${name} ${of}` }, name)
    made.addEventListener("click", act)
    return made
  }
  const disable = button("Disable", disables)
  const enable = button("Enable", enables)
  const node = cell(
    "Actions",
    element("div", { class: "actions" }, disable, enable, ...others.map(([name, act]) => button(name, act)))
  )
  node.className = "acting"
  return {
    node,
    /** `rests`: whether there is something to be brought back from. */
    update: (state: string, rests: boolean, acts: boolean): void => {
      // The one of the two that has the focus hands it on to the other.
      const hadFocus = document.activeElement === disable || document.activeElement === enable
      const changed = disable.hidden !== (state === "disabled")
      show(disable, state !== "disabled")
      show(enable, rests)
      if (hadFocus && changed) (state === "disabled" ? enable : disable).focus()
      show(node, acts)
    }
  }
}

// -------------------------------------------------------------------------------------
// keys
// -------------------------------------------------------------------------------------

export const keyColumns = ["Key", "State", "Load", "Served", "Limited", "Latency", "Weight"]

export const keyView = (model: string, key: Key, acts: () => boolean, { actions, now }: Context): View<Key> => {
  const state = badge()
  const bar = load(`Load of key ${key.id}`)
  const cells = { served: cell("Served"), limited: cell("Limited"), latency: cell("Latency"), weight: cell("Weight") }
  let latest = key
  const { node: buttons, update: updateButtons } = acting(
    `key ${key.id} of ${model}`,
    () => void actions.disable(model, key.id),
    () => void actions.enable(model, key.id),
    [
      ["Cool", () => void actions.cool(model, key.id)],
      ["Weight", () => void actions.reweight(model, key.id, latest.weight)]
    ]
  )
  return {
    node: element(
      "tr",
      { role: "row" },
      element("th", { scope: "row", role: "rowheader" }, element("code", {}, key.id)),
      cell("State", state.node),
      cell("Load", bar.node),
      cells.served,
      cells.limited,
      cells.latency,
      cells.weight,
      buttons
    ),
    update: (key) => {
      latest = key
      state.set(key.state, key.until, key.reason, now())
      bar.set(key.inFlight, key.maxConcurrency)
      write(cells.served, Format.count(key.served))
      write(cells.limited, Format.count(key.rateLimited + key.outOfQuota + key.refused))
      write(cells.latency, key.latency === undefined ? "–" : Format.duration(key.latency))
      write(cells.weight, Format.count(key.weight))
      updateButtons(key.state, key.state === "disabled" || key.state === "cooling", acts())
    }
  }
}

// -------------------------------------------------------------------------------------
// deployments
// -------------------------------------------------------------------------------------

export const deploymentColumns = ["Deployment", "State", "Load", "Served", "Failed", "Latency", "Weight"]

export const deploymentView = (
  group: string,
  first: Deployment,
  { actions: { deployments }, mayAct, now }: Context
): View<Deployment> => {
  const { id, model, provider } = first
  const state = badge()
  const bar = load(`Load of deployment ${id}`)
  const cells = { served: cell("Served"), failed: cell("Failed"), latency: cell("Latency"), weight: cell("Weight") }
  let latest = first
  const { node: buttons, update: updateButtons } = acting(
    `deployment ${id} of ${group}`,
    () => void deployments.disable(group, id),
    () => void deployments.enable(group, id),
    [["Weight", () => void deployments.reweight(group, id, latest.weight)]]
  )
  return {
    node: element(
      "tr",
      { role: "row" },
      element("th", { scope: "row", role: "rowheader", title: `${provider}/${model}` }, element("code", {}, id)),
      cell("State", state.node),
      cell("Load", bar.node),
      cells.served,
      cells.failed,
      cells.latency,
      cells.weight,
      buttons
    ),
    update: (deployment) => {
      latest = deployment
      state.set(deployment.state, deployment.until, undefined, now())
      bar.set(deployment.inFlight, deployment.maxConcurrency)
      write(cells.served, Format.count(deployment.served))
      write(cells.failed, Format.count(deployment.failed))
      write(cells.latency, deployment.latency === undefined ? "–" : Format.duration(deployment.latency))
      write(
        cells.weight,
        `${Format.count(deployment.weight)}${deployment.order === 0 ? "" : ` (order ${deployment.order})`}`
      )
      updateButtons(deployment.state, deployment.state !== "ready" && deployment.state !== "busy", mayAct())
    }
  }
}
