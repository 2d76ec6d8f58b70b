/** The models, each with what was asked of it, its limits, its deployments and its keys. */
import type { Deployment, Key, Level, Model } from "../snapshot.js"
import type { Actions } from "./actions.js"
import type { View } from "./dom.js"
import { attribute, each, element, graphic, meter, show, write } from "./dom.js"
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

const table = (caption: string, columns: ReadonlyArray<string>, body: HTMLTableSectionElement): HTMLTableElement =>
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

const rows = (): HTMLTableSectionElement => element("tbody", { role: "rowgroup" })

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
// keys
// -------------------------------------------------------------------------------------

const keyColumns = ["Key", "State", "Load", "Served", "Limited", "Latency", "Weight"]

const keyView = (model: string, key: Key, acts: () => boolean, { actions, now }: Context): View<Key> => {
  const state = badge()
  const bar = load(`Load of key ${key.id}`)
  const cells = { served: cell("Served"), limited: cell("Limited"), latency: cell("Latency"), weight: cell("Weight") }
  const button = (name: string, act: () => void): HTMLButtonElement => {
    const made = element(
      "button",
      { type: "button", class: "small", "aria-label": `${name} key ${key.id} of ${model}` },
      name
    )
    made.addEventListener("click", act)
    return made
  }
  let latest = key
  const disable = button("Disable", () => void actions.disable(model, key.id))
  const enable = button("Enable", () => void actions.enable(model, key.id))
  const acting = cell(
    "Actions",
    element(
      "div",
      { class: "actions" },
      disable,
      enable,
      button("Cool", () => void actions.cool(model, key.id)),
      button("Weight", () => void actions.reweight(model, key.id, latest.weight))
    )
  )
  acting.className = "acting"
  const node = element(
    "tr",
    { role: "row" },
    element("th", { scope: "row", role: "rowheader" }, element("code", {}, key.id)),
    cell("State", state.node),
    cell("Load", bar.node),
    cells.served,
    cells.limited,
    cells.latency,
    cells.weight,
    acting
  )
  return {
    node,
    update: (key) => {
      latest = key
      state.set(key.state, key.until, key.reason, now())
      bar.set(key.inFlight, key.maxConcurrency)
      write(cells.served, Format.count(key.served))
      write(cells.limited, Format.count(key.rateLimited + key.outOfQuota + key.refused))
      write(cells.latency, key.latency === undefined ? "–" : Format.duration(key.latency))
      write(cells.weight, Format.count(key.weight))
      const rests = key.state === "disabled" || key.state === "cooling"
      // The one of the two that has the focus hands it on to the other.
      const hadFocus = document.activeElement === disable || document.activeElement === enable
      const changed = disable.hidden !== (key.state === "disabled")
      show(disable, key.state !== "disabled")
      show(enable, rests)
      if (hadFocus && changed) (key.state === "disabled" ? enable : disable).focus()
      show(acting, acts())
    }
  }
}

// -------------------------------------------------------------------------------------
// deployments
// -------------------------------------------------------------------------------------

const deploymentView = ({ id, model, provider }: Deployment, { now }: Context): View<Deployment> => {
  const state = badge()
  const bar = load(`Load of deployment ${id}`)
  const cells = { served: cell("Served"), failed: cell("Failed"), latency: cell("Latency"), weight: cell("Weight") }
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
      cells.weight
    ),
    update: (deployment) => {
      state.set(deployment.state, deployment.until, undefined, now())
      bar.set(deployment.inFlight, deployment.maxConcurrency)
      write(cells.served, Format.count(deployment.served))
      write(cells.failed, Format.count(deployment.failed))
      write(cells.latency, deployment.latency === undefined ? "–" : Format.duration(deployment.latency))
      write(
        cells.weight,
        `${Format.count(deployment.weight)}${deployment.order === 0 ? "" : ` (order ${deployment.order})`}`
      )
    }
  }
}

// -------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------

const levelView = ({ name }: Level): View<Level> => {
  const bar = meter(`Left of the limit: ${name}`)
  const text = element("span", { class: "figure" })
  return {
    node: element("li", {}, element("span", {}, name), bar.node, text),
    update: ({ available, limit }) => {
      const told = `${Format.count(Math.max(0, Math.floor(available)))} of ${Format.count(limit)} left`
      const share = available / limit
      bar.set(share, told)
      attribute(bar.node, "data-mood", share < 0.1 ? "bad" : share < 0.3 ? "warn" : "good")
      write(text, told)
    }
  }
}

const sparkline = () => {
  const line = graphic("path", { class: "line" })
  const area = graphic("path", { class: "area" })
  const node = graphic(
    "svg",
    { class: "spark", viewBox: "0 0 120 32", preserveAspectRatio: "none", role: "img" },
    area,
    line
  )
  return {
    node,
    set: (minutes: ReadonlyArray<number>): void => {
      const most = Math.max(1, ...minutes)
      const points = minutes.map(
        (n, index) => `${((index * 120) / (minutes.length - 1)).toFixed(1)} ${(30 - (n / most) * 27).toFixed(1)}`
      )
      attribute(line, "d", `M${points.join("L")}`)
      attribute(area, "d", `M0 32L${points.join("L")}L120 32Z`)
      attribute(node, "aria-label", `Requests a minute in the last hour, at most ${Math.max(...minutes)}`)
    }
  }
}

const figures = (model: Model): ReadonlyArray<readonly [string, string]> => [
  ["Requests", Format.count(model.requests)],
  ["Errors", model.requests === 0 ? "–" : Format.percent(model.failed / model.requests)],
  ["Latency p95", model.latency === undefined ? "–" : Format.duration(model.latency.p95)],
  ["First token p95", model.firstEvent === undefined ? "–" : Format.duration(model.firstEvent.p95)],
  ["Tokens", Format.count(model.inputTokens + model.outputTokens)],
  ["Cost", Format.dollars(model.cost)],
  ["In flight", Format.count(model.inFlight)],
  ["Waiting", Format.count(model.waiting)]
]

const figureView = ([name]: readonly [string, string]): View<readonly [string, string]> => {
  const value = element("dd")
  return { node: element("div", {}, element("dt", {}, name), value), update: ([, text]) => write(value, text) }
}

const modelView = (first: Model, context: Context): View<Model> => {
  const { id } = first
  let latest = first
  const acts = (): boolean => latest.hasPool && context.mayAct()
  const slash = id.indexOf("/")
  const title = `model-${id}`
  const aliases = element("ul", { class: "aliases", "aria-label": "Also known as" })
  const spark = sparkline()
  const stats = element("dl", { class: "stats" })
  const levels = element("ul", { class: "levels", "aria-label": "Limits" })
  const keyRows = rows()
  const deploymentRows = rows()
  const actionColumn = element("th", { scope: "col", role: "columnheader", class: "acting" }, "Actions")
  const keys = table(`Keys of ${id}`, keyColumns, keyRows)
  keys.tHead?.rows[0]?.append(actionColumn)
  const deployments = table(
    `Deployments of ${id}`,
    ["Deployment", "State", "Load", "Served", "Failed", "Latency", "Weight"],
    deploymentRows
  )
  const node = element(
    "article",
    { class: "card model", "aria-labelledby": title },
    element(
      "header",
      {},
      element(
        "div",
        {},
        element("h3", { id: title }, element("span", {}, id.slice(0, slash + 1)), id.slice(slash + 1)),
        aliases
      ),
      spark.node
    ),
    stats,
    levels,
    deployments,
    keys
  )
  const updateAliases = each<string>(
    aliases,
    (name) => name,
    (name) => ({ node: element("li", {}, name), update: () => {} })
  )
  const updateStats = each(stats, ([name]) => name, figureView)
  const updateLevels = each<Level>(levels, ({ name }) => name, levelView)
  const updateKeys = each<Key>(
    keyRows,
    ({ id }) => id,
    (key) => keyView(id, key, acts, context)
  )
  const updateDeployments = each<Deployment>(
    deploymentRows,
    ({ id }) => id,
    (each) => deploymentView(each, context)
  )
  return {
    node,
    update: (model) => {
      latest = model
      updateAliases(model.aliases)
      show(aliases, model.aliases.length > 0)
      spark.set(model.minutes)
      updateStats(figures(model))
      updateLevels(model.levels)
      show(levels, model.levels.length > 0)
      updateDeployments(model.deployments)
      show(deployments, model.deployments.length > 0)
      updateKeys(model.keys)
      show(keys, model.keys.length > 0)
      show(actionColumn, acts())
    }
  }
}

const has = (model: Model, wanted: string): boolean =>
  [model.id, ...model.aliases, ...model.keys.map(({ id }) => id), ...model.deployments.map(({ id }) => id)].some(
    (name) => name.toLowerCase().includes(wanted)
  )

/** Shows those that have what is wanted in one of their names, and says how many these are. */
export const mount = (
  parent: Element,
  context: Context
): ((models: ReadonlyArray<Model>, wanted: string) => number) => {
  const update = each<Model>(
    parent,
    ({ id }) => id,
    (model) => modelView(model, context)
  )
  return (models, wanted) => {
    const shown = models.filter((model) => has(model, wanted.trim().toLowerCase()))
    update(shown)
    return shown.length
  }
}
