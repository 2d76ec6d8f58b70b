/** The page: signs in, reads the events while the page is visible, and renders them. */
import type { Key, Snapshot } from "../snapshot.js"
import * as Actions from "./actions.js"
import * as Alerts from "./alerts.js"
import * as Charts from "./charts.js"
import * as ClientKeys from "./clientKeys.js"
import { setAttribute, setVisible, elementById, setText } from "./dom.js"
import * as Figures from "./figures.js"
import * as Format from "./format.js"
import * as BudgetsAndCaches from "./budgetsAndCaches.js"
import * as Models from "./models.js"
import type { Parts } from "./parts.js"
import { inTasks } from "./parts.js"
import * as Playground from "./playground.js"
import * as Ranges from "./ranges.js"
import * as Requests from "./requests.js"
import * as Stream from "./stream.js"
import * as Tiles from "./tiles.js"

const tokenName = "effect-llm-admin-token"
const themeName = "effect-llm-theme"

let token = sessionStorage.getItem(tokenName)
let latest: Snapshot | undefined
let filter = ""

const figures = Figures.make()
const actions = Actions.make(() => token)

// -------------------------------------------------------------------------------------
// rendering
// -------------------------------------------------------------------------------------

const connection = elementById("connection", HTMLParagraphElement)
const announcer = elementById("announcer", HTMLDivElement)
const signOut = elementById("sign-out", HTMLButtonElement)
const clearCaches = elementById("clear-caches", HTMLButtonElement)

const setView = (name: "starting" | "signed-out" | "live"): void =>
  setAttribute(document.documentElement, "data-view", name)

const setConnection = (state: "connecting" | "live" | "lost", words: string): void => {
  setAttribute(connection, "data-state", state)
  setText(connection.lastElementChild ?? connection, words)
}

const tiles = Tiles.mount(elementById("tiles", HTMLDListElement))
const table = Tiles.mountTable(elementById("minutes", HTMLTableSectionElement))
const charts = Charts.mount(elementById("charts", HTMLDivElement))
const models = Models.mount(
  elementById("model-list", HTMLDivElement),
  elementById("toggle-models", HTMLButtonElement),
  elementById("no-models", HTMLParagraphElement),
  {
    now: () => latest?.at ?? 0,
    mayAct: () => latest?.mayAct ?? false,
    actions
  }
)
const budgets = BudgetsAndCaches.mountBudgets(elementById("budget-list", HTMLDivElement))
const alerts = Alerts.mount(elementById("alerts", HTMLElement), elementById("alert-list", HTMLUListElement), announcer)
const clientKeys = ClientKeys.mount(elementById("client-keys", HTMLElement))
const playground = Playground.mount(() => token)
const requests = Requests.mount(elementById("requests", HTMLElement), {
  token: () => token,
  hasBodies: () => latest?.hasBodies ?? false,
  added: playground.logged
})
const caches = BudgetsAndCaches.mountCaches(elementById("cache-list", HTMLDivElement))

/** Every key once, because most keys of a group also belong to a model of the list. */
const keysOf = ({ models }: Snapshot): ReadonlyArray<{ readonly name: string; readonly key: Key }> => {
  const ownModels = models.filter(({ hasPool }) => hasPool)
  const ownKeyIds = new Set(ownModels.flatMap(({ keys }) => keys.map(({ id }) => id)))
  return models.flatMap(({ hasPool, id, keys }) =>
    keys.filter((key) => hasPool || !ownKeyIds.has(key.id)).map((key) => ({ name: `${key.id} of ${id}`, key }))
  )
}

/** Counts the keys by state: `12 ready, 1 cooling`. */
const summaryOf = (keys: ReadonlyArray<Key>): string =>
  (["ready", "busy", "cooling", "disabled"] as const)
    .map((state) => [state, keys.filter((key) => key.state === state).length] as const)
    .filter(([, n]) => n > 0)
    .map(([state, n]) => `${n} ${state}`)
    .join(", ")

function* show(): Parts {
  const snapshot = latest
  if (snapshot === undefined) return
  const { at, mayAct } = snapshot
  const view = ranges.view(snapshot, figures)
  tiles(snapshot, figures, view)
  table(figures, at)
  alerts(snapshot.alerts, at)
  yield
  yield* charts.update(view)
  playground.offer(snapshot.models)
  yield
  const keys = keysOf(snapshot).map(({ key }) => key)
  setText(
    elementById("models-summary", HTMLParagraphElement),
    `${snapshot.models.length === 1 ? "1 model" : `${snapshot.models.length} models`} · keys: ${summaryOf(keys) || "none"}`
  )
  yield* models(snapshot.models, filter, view.minutes)
  setVisible(elementById("open-notice", HTMLParagraphElement), !mayAct)
  budgets(snapshot.budgets, at)
  setVisible(elementById("budgets", HTMLElement), snapshot.budgets.length > 0)
  caches(snapshot.caches)
  setVisible(elementById("caches", HTMLElement), snapshot.caches.length > 0)
  setVisible(clearCaches, mayAct)
  setText(
    elementById("footer", HTMLElement),
    `Up for ${Format.span(at - snapshot.startedAt)} · ${snapshot.hasHistory ? "history in a file" : "figures are of the last hour, kept in memory"} · ${Format.clock(at, true)}`
  )
}

const render = inTasks(show)

const ranges = Ranges.mount(() => token, render)

// -------------------------------------------------------------------------------------
// announcements for screen readers
// -------------------------------------------------------------------------------------

const statesOf = (snapshot: Snapshot): ReadonlyMap<string, string> =>
  new Map([
    ...keysOf(snapshot).map(({ key, name }) => [`Key ${name}`, key.state] as const),
    ...snapshot.models.flatMap(({ deployments, id: group }) =>
      deployments.map(({ id, state }) => [`Deployment ${id} of ${group}`, state] as const)
    )
  ])

/** Changes between busy and ready are too frequent to announce. */
const isNotable = (state: string | undefined): boolean =>
  state === "cooling" || state === "disabled" || state === "open"

const announce = (before: Snapshot, after: Snapshot): void => {
  const previousStates = statesOf(before)
  const changes = [...statesOf(after)].filter(
    ([name, state]) =>
      previousStates.has(name) &&
      previousStates.get(name) !== state &&
      (isNotable(state) || isNotable(previousStates.get(name)))
  )
  if (changes.length === 0) return
  setText(
    announcer,
    changes.length > 3
      ? `${changes.length} keys and deployments have changed state.`
      : changes.map(([name, state]) => `${name} is ${state}.`).join(" ")
  )
}

// -------------------------------------------------------------------------------------
// events
// -------------------------------------------------------------------------------------

const showSignIn = (problem: string): void => {
  latest = undefined
  setVisible(signOut, false)
  setView("signed-out")
  setConnection("connecting", "Signed out")
  setText(elementById("sign-in-problem", HTMLParagraphElement), problem)
  elementById("token", HTMLInputElement).focus()
}

let awaitsFullSnapshot = true

const stream = Stream.make({
  connected: () => {
    awaitsFullSnapshot = true
    requests.start(token)
    clientKeys.start(token)
  },
  snapshot: (snapshot) => {
    if (awaitsFullSnapshot) figures.clear()
    awaitsFullSnapshot = false
    figures.add(snapshot)
    if (latest !== undefined) announce(latest, snapshot)
    latest = snapshot
    setVisible(signOut, snapshot.mayAct)
    const wasSignedOut = document.documentElement.dataset["view"] === "signed-out"
    setView("live")
    // The element that had the focus is hidden.
    if (wasSignedOut) elementById("figures", HTMLElement).focus({ preventScroll: true })
    setConnection("live", "Live")
    render()
  },
  lost: () => setConnection("lost", "Connection lost, reconnecting"),
  refused: (message) => {
    requests.stop()
    clientKeys.stop()
    token = null
    sessionStorage.removeItem(tokenName)
    showSignIn(message)
  }
})

/** Connects at once if no token is required or the tab has one; otherwise shows the sign-in form. */
const begin = (): void => {
  if (token !== null) stream.start(token)
  else {
    void Stream.needsToken().then((isRequired) => {
      if (isRequired) showSignIn("")
      else stream.start(null)
    })
  }
}

// -------------------------------------------------------------------------------------
// user input
// -------------------------------------------------------------------------------------

/** Applies the stored theme, and stores the selected one. */
const mountTheme = (group: HTMLFieldSetElement, changed: () => void): void => {
  const apply = (theme: string): void => {
    document.documentElement.dataset["theme"] = theme
    changed()
  }
  const storedTheme = localStorage.getItem(themeName) ?? "auto"
  for (const radio of group.querySelectorAll("input")) radio.checked = radio.value === storedTheme
  apply(storedTheme)
  group.addEventListener("change", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return
    localStorage.setItem(themeName, target.value)
    apply(target.value)
  })
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed)
}

elementById("sign-in", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault()
  const input = elementById("token", HTMLInputElement)
  token = input.value.trim()
  input.value = ""
  setText(elementById("sign-in-problem", HTMLParagraphElement), "")
  sessionStorage.setItem(tokenName, token)
  stream.start(token)
})

signOut.addEventListener("click", () => {
  sessionStorage.removeItem(tokenName)
  // Removes all figures from the page.
  location.reload()
})

clearCaches.addEventListener("click", () => void actions.clearCaches())

elementById("filter", HTMLInputElement).addEventListener("input", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return
  filter = target.value
  render()
})

// A hidden page needs no events.
document.addEventListener("visibilitychange", () => {
  if (document.documentElement.dataset["view"] === "signed-out") return
  if (document.hidden) {
    requests.stop()
    clientKeys.stop()
    stream.stop()
  } else stream.start(token)
})

mountTheme(elementById("theme", HTMLFieldSetElement), () => {
  charts.recolour()
  render()
})
begin()
