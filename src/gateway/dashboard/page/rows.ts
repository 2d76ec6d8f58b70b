/** Tables of keys and of deployments, each row with its state and its actions. */
import type { Deployment, Key } from "../snapshot.js"
import type { Actions } from "./actions.js"
import type { View } from "./dom.js"
import { setAttribute, element, meter, setVisible, setText } from "./dom.js"
import * as Format from "./format.js"

/** The dependencies of a view besides its value. */
export interface Context {
  readonly now: () => number
  readonly mayAct: () => boolean
  readonly actions: Actions
}

// -------------------------------------------------------------------------------------
// tables
// -------------------------------------------------------------------------------------

/** A cell with the name of its column, which narrow pages show in the cell. Explicit roles keep the table in every layout. */
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

/** The state with its remaining time and its reason. */
const badge = () => {
  const label = element("b")
  const details = element("span")
  const node = element("span", { class: "badge" }, element("i", { "aria-hidden": "true" }), label, details)
  return {
    node,
    set: (state: string, until: number | undefined, reason: string | undefined, now: number): void => {
      setAttribute(node, "data-state", state)
      setText(label, state)
      const left = until === undefined ? [] : [Format.span(until - now)]
      setText(
        details,
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
      const figure = most === undefined ? `${inFlight} now` : `${inFlight} of ${Format.count(most)}`
      bar.set(most === undefined ? Math.min(1, inFlight / 10) : inFlight / most, figure)
      setText(text, figure)
    }
  }
}

// -------------------------------------------------------------------------------------
// actions
// -------------------------------------------------------------------------------------

export const actionColumn = (): HTMLTableCellElement =>
  element("th", { scope: "col", role: "columnheader", class: "acting" }, "Actions")

type Action = readonly [name: string, act: () => void]

/** The buttons of a row: disable, enable, and others. `of`: the object of the actions, for screen readers. */
const actionButtons = (of: string, onDisable: () => void, onEnable: () => void, others: ReadonlyArray<Action>) => {
  const button = (name: string, action: () => void): HTMLButtonElement => {
    const actionButton = element("button", { type: "button", class: "small", "aria-label": `${name} ${of}` }, name)
    actionButton.addEventListener("click", action)
    return actionButton
  }
  const disable = button("Disable", onDisable)
  const enable = button("Enable", onEnable)
  const node = cell(
    "Actions",
    element("div", { class: "actions" }, disable, enable, ...others.map(([name, action]) => button(name, action)))
  )
  node.className = "acting"
  return {
    node,
    /** `isRestorable`: whether the row can be enabled. */
    update: (state: string, isRestorable: boolean, mayAct: boolean): void => {
      // The button that is hidden passes its focus to the other.
      const hadFocus = document.activeElement === disable || document.activeElement === enable
      const changed = disable.hidden !== (state === "disabled")
      setVisible(disable, state !== "disabled")
      setVisible(enable, isRestorable)
      if (hadFocus && changed) (state === "disabled" ? enable : disable).focus()
      setVisible(node, mayAct)
    }
  }
}

// -------------------------------------------------------------------------------------
// keys
// -------------------------------------------------------------------------------------

export const keyColumns = ["Key", "State", "Load", "Served", "Limited", "Latency", "Weight"]

export const keyView = (model: string, key: Key, mayAct: () => boolean, { actions, now }: Context): View<Key> => {
  const state = badge()
  const bar = load(`Load of key ${key.id}`)
  const cells = { served: cell("Served"), limited: cell("Limited"), latency: cell("Latency"), weight: cell("Weight") }
  let latest = key
  const { node: buttons, update: updateButtons } = actionButtons(
    `key ${key.id} of ${model}`,
    () => void actions.disable(model, key.id),
    () => void actions.enable(model, key.id),
    [
      ["Pause", () => void actions.cool(model, key.id)],
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
      setText(cells.served, Format.count(key.served))
      setText(cells.limited, Format.count(key.rateLimited + key.outOfQuota + key.refused))
      setText(cells.latency, key.latency === undefined ? "–" : Format.duration(key.latency))
      setText(cells.weight, Format.count(key.weight))
      updateButtons(key.state, key.state === "disabled" || key.state === "cooling", mayAct())
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
  const { node: buttons, update: updateButtons } = actionButtons(
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
      setText(cells.served, Format.count(deployment.served))
      setText(cells.failed, Format.count(deployment.failed))
      setText(cells.latency, deployment.latency === undefined ? "–" : Format.duration(deployment.latency))
      setText(
        cells.weight,
        `${Format.count(deployment.weight)}${deployment.order === 0 ? "" : ` (order ${deployment.order})`}`
      )
      updateButtons(deployment.state, deployment.state !== "ready" && deployment.state !== "busy", mayAct())
    }
  }
}
