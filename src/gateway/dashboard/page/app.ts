/** The page: it waits for somebody who may look, listens for as long as somebody does, and shows what it hears. */
import type { Key, Snapshot } from "../snapshot.js"
import * as Actions from "./actions.js"
import * as Charts from "./charts.js"
import { attribute, show, the, write } from "./dom.js"
import * as Figures from "./figures.js"
import * as Format from "./format.js"
import * as Ledgers from "./ledgers.js"
import * as Models from "./models.js"
import * as Stream from "./stream.js"
import * as Theme from "./theme.js"
import * as Tiles from "./tiles.js"

const tokenName = "effect-llm-admin-token"

let token = sessionStorage.getItem(tokenName)
let latest: Snapshot | undefined
let minutes = 5
let wanted = ""

const figures = Figures.make()
const actions = Actions.make(() => token)

// -------------------------------------------------------------------------------------
// what is shown
// -------------------------------------------------------------------------------------

const connection = the("connection", HTMLParagraphElement)
const announcer = the("announcer", HTMLDivElement)
const signOut = the("sign-out", HTMLButtonElement)
const clearCaches = the("clear-caches", HTMLButtonElement)

const view = (name: "starting" | "signed-out" | "live"): void => attribute(document.documentElement, "data-view", name)

const connected = (state: "connecting" | "live" | "lost", words: string): void => {
  attribute(connection, "data-state", state)
  write(connection.lastElementChild ?? connection, words)
}

const tiles = Tiles.mount(the("tiles", HTMLDListElement))
const table = Tiles.mountTable(the("minutes", HTMLTableSectionElement))
const charts = Charts.mount(the("charts", HTMLDivElement))
const models = Models.mount(the("model-list", HTMLDivElement), {
  now: () => latest?.at ?? 0,
  mayAct: () => latest?.mayAct ?? false,
  actions
})
const budgets = Ledgers.mountBudgets(the("budget-list", HTMLDivElement))
const caches = Ledgers.mountCaches(the("cache-list", HTMLDivElement))

/** Every key once: those of a group are mostly those of models that stand beside it, of the same pools. */
const keysOf = ({ models }: Snapshot): ReadonlyArray<{ readonly name: string; readonly key: Key }> => {
  const own = models.filter(({ hasPool }) => hasPool)
  const known = new Set(own.flatMap(({ keys }) => keys.map(({ id }) => id)))
  return models.flatMap(({ hasPool, id, keys }) =>
    keys.filter((key) => hasPool || !known.has(key.id)).map((key) => ({ name: `${key.id} of ${id}`, key }))
  )
}

/** In how many states the keys are: `12 ready, 1 cooling`. */
const summaryOf = (keys: ReadonlyArray<Key>): string =>
  (["ready", "busy", "cooling", "disabled"] as const)
    .map((state) => [state, keys.filter((key) => key.state === state).length] as const)
    .filter(([, n]) => n > 0)
    .map(([state, n]) => `${n} ${state}`)
    .join(", ")

const render = (): void => {
  const snapshot = latest
  if (snapshot === undefined) return
  const { at, mayAct } = snapshot
  tiles(snapshot, figures, minutes)
  table(figures, at)
  charts.update(figures, minutes, at, snapshot.width)
  const shown = models(snapshot.models, wanted)
  const keys = keysOf(snapshot).map(({ key }) => key)
  write(
    the("models-summary", HTMLParagraphElement),
    `${snapshot.models.length === 1 ? "1 model" : `${snapshot.models.length} models`} · keys: ${summaryOf(keys) || "none"}`
  )
  show(the("no-models", HTMLParagraphElement), shown === 0)
  show(the("open-notice", HTMLParagraphElement), !mayAct)
  budgets(snapshot.budgets, at)
  show(the("budgets", HTMLElement), snapshot.budgets.length > 0)
  caches(snapshot.caches)
  show(the("caches", HTMLElement), snapshot.caches.length > 0)
  show(clearCaches, mayAct)
  write(
    the("footer", HTMLElement),
    `Up for ${Format.span(at - snapshot.startedAt)} · figures are of the last hour, kept in memory · ${Format.clock(at, true)}`
  )
}

// -------------------------------------------------------------------------------------
// what is said to those who do not see it
// -------------------------------------------------------------------------------------

const statesOf = (snapshot: Snapshot): ReadonlyMap<string, string> =>
  new Map([
    ...keysOf(snapshot).map(({ key, name }) => [`Key ${name}`, key.state] as const),
    ...snapshot.models.flatMap(({ deployments, id: group }) =>
      deployments.map(({ id, state }) => [`Deployment ${id} of ${group}`, state] as const)
    )
  ])

/** Busy and ready change all the time, and nobody needs to hear of that. */
const isNews = (state: string | undefined): boolean => state === "cooling" || state === "disabled" || state === "open"

const announce = (before: Snapshot, after: Snapshot): void => {
  const were = statesOf(before)
  const news = [...statesOf(after)].filter(
    ([name, state]) => were.has(name) && were.get(name) !== state && (isNews(state) || isNews(were.get(name)))
  )
  if (news.length === 0) return
  write(
    announcer,
    news.length > 3
      ? `${news.length} keys and deployments have changed their state.`
      : news.map(([name, state]) => `${name} is ${state}.`).join(" ")
  )
}

// -------------------------------------------------------------------------------------
// listening
// -------------------------------------------------------------------------------------

const signedOut = (problem: string): void => {
  latest = undefined
  show(signOut, false)
  view("signed-out")
  connected("connecting", "Signed out")
  write(the("sign-in-problem", HTMLParagraphElement), problem)
  the("token", HTMLInputElement).focus()
}

let isFirst = true

const stream = Stream.make({
  connected: () => {
    isFirst = true
  },
  snapshot: (snapshot) => {
    if (isFirst) figures.clear()
    isFirst = false
    figures.add(snapshot)
    if (latest !== undefined) announce(latest, snapshot)
    latest = snapshot
    show(signOut, snapshot.mayAct)
    const isNew = document.documentElement.dataset["view"] === "signed-out"
    view("live")
    // What had the focus is gone.
    if (isNew) the("figures", HTMLElement).focus({ preventScroll: true })
    connected("live", "Live")
    render()
  },
  lost: () => connected("lost", "Connection lost, trying again"),
  refused: (message) => {
    token = null
    sessionStorage.removeItem(tokenName)
    signedOut(message)
  }
})

/** Looks at once where that is allowed; otherwise asks for the token, of which nothing is known in a new tab. */
const begin = (): void => {
  if (token !== null) stream.start(token)
  else {
    void Stream.needsToken().then((needed) => {
      if (needed) signedOut("")
      else stream.start(null)
    })
  }
}

// -------------------------------------------------------------------------------------
// what somebody does
// -------------------------------------------------------------------------------------

the("sign-in", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault()
  const input = the("token", HTMLInputElement)
  token = input.value.trim()
  input.value = ""
  write(the("sign-in-problem", HTMLParagraphElement), "")
  sessionStorage.setItem(tokenName, token)
  stream.start(token)
})

signOut.addEventListener("click", () => {
  sessionStorage.removeItem(tokenName)
  // Nothing of what was shown stays in the page.
  location.reload()
})

clearCaches.addEventListener("click", () => void actions.clearCaches())

the("window", HTMLFieldSetElement).addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return
  minutes = Number(target.value)
  render()
})

the("filter", HTMLInputElement).addEventListener("input", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return
  wanted = target.value
  render()
})

// Nobody looks at a page that is hidden, and so nothing is asked of the gateway for it.
document.addEventListener("visibilitychange", () => {
  if (document.documentElement.dataset["view"] === "signed-out") return
  if (document.hidden) stream.stop()
  else stream.start(token)
})

Theme.mount(the("theme", HTMLFieldSetElement), charts.recolour)
begin()
