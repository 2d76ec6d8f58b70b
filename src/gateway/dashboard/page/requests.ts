/** The request log: the last requests as a table, with a filter, details and exports. */
import type { LoggedRequest } from "../requestLog.js"
import { toast } from "./actions.js"
import { element, elementById, setText, setVisible } from "./dom.js"
import * as Export from "./requestExport.js"
import * as Format from "./format.js"
import * as Filter from "./requestFilter.js"
import * as Totals from "./requestTotals.js"
import { authorized } from "./stream.js"
import * as Timing from "./timing.js"

/** The most requests that the page keeps, as many as the gateway does by default. */
const capacity = 1000

/** How many are shown at first, so that the rest of the page is near, and how many more at each click. */
const firstLength = 25
const pageLength = 100

/** Milliseconds between two reads. */
const interval = 2000

export interface RequestLog {
  /** Reads the requests until `stop`, those of the gateway from the beginning. */
  readonly start: (token: string | null) => void
  readonly stop: () => void
}

const moodOf = ({ outcome, status }: LoggedRequest): string => {
  if (outcome === "ok") return "good"
  return outcome === "interrupted" || (status !== undefined && status < 500) ? "warn" : "bad"
}

const tokensOf = ({ inputTokens, outputTokens }: LoggedRequest): string =>
  inputTokens === undefined ? "–" : `${Format.count(inputTokens)} in, ${Format.count(outputTokens ?? 0)} out`

const fact = (name: string, value: string): ReadonlyArray<HTMLElement> =>
  value === "" ? [] : [element("div", {}, element("dt", {}, name), element("dd", {}, value))]

const attemptItem = (attempt: LoggedRequest["attempts"][number], index: number): HTMLElement => {
  const { duration, error, keyId, model, provider, status } = attempt
  const result = error === undefined ? "answered" : Format.outcome(error)
  return element(
    "li",
    { "data-mood": error === undefined ? "good" : "bad" },
    element("b", {}, `${index + 1}. ${result}${status === undefined ? "" : ` (${status})`}`),
    ` ${provider}/${model}, key ${keyId === "" ? "none" : keyId}, ${Format.duration(duration)}`
  )
}

/** A button that shows the bodies of a request in its place. */
const bodiesButton = (request: LoggedRequest, token: () => string | null): HTMLElement => {
  const button = element("button", { type: "button", class: "small" }, "Show bodies")
  const shown = element("div", { class: "request-bodies" }, button)
  const read = async (): Promise<void> => {
    const response = await fetch(`dashboard/bodies?id=${encodeURIComponent(request.requestId)}`, {
      headers: authorized(token()),
      cache: "no-store"
    })
    if (!response.ok) return shown.replaceChildren("The bodies of this request are no longer kept.")
    const { answer, request: sent }: { readonly request: string; readonly answer: string } = await response.json()
    shown.replaceChildren(
      ...[
        ["Request", sent],
        ["Answer", answer]
      ].map(([name = "", text = ""]) =>
        element(
          "section",
          {},
          element("h4", {}, name),
          element("pre", { tabindex: "0", role: "region", "aria-label": name }, text)
        )
      )
    )
  }
  button.addEventListener("click", () => void read().catch(() => toast("The gateway cannot be reached.", "bad")))
  return shown
}

/** What the rows need besides their requests. */
export interface Context {
  readonly token: () => string | null
  readonly hasBodies: () => boolean
  /** Receives the requests that are new, the newest first. */
  readonly added: (requests: ReadonlyArray<LoggedRequest>) => void
}

const details = (request: LoggedRequest, { hasBodies, token }: Context): HTMLElement =>
  element(
    "div",
    { class: "request-details" },
    ...(request.message === undefined ? [] : [element("p", { class: "request-message" }, request.message)]),
    Timing.bar(request),
    element(
      "dl",
      { class: "request-facts" },
      ...fact("Request id", request.requestId),
      ...fact("Operation", `${request.operation}${request.streamed ? ", streamed" : ""}`),
      ...fact("Answered by", request.answeredBy),
      ...fact("Finish reason", request.finishReason ?? ""),
      ...fact("Key", request.keyId)
    ),
    element("ol", { class: "request-attempts" }, ...request.attempts.map(attemptItem)),
    ...(hasBodies() ? [bodiesButton(request, token)] : [])
  )

/** The two rows of a request. A request does not change, so its details are made when they are first shown. */
const rowsOf = (request: LoggedRequest, context: Context): HTMLTableSectionElement => {
  const toggle = element(
    "button",
    { type: "button", class: "quiet request-toggle", "aria-expanded": "false" },
    Format.clock(request.startedAt, true)
  )
  const cells = [
    request.client === "" ? "–" : request.client,
    request.model === "" ? "–" : request.model,
    request.refused ? "refused" : `${request.provider}${request.answeredBy === "" ? "" : `/${request.answeredBy}`}`
  ].map((text) => element("td", { title: text }, text))
  const state = request.outcome === "ok" ? "ok" : Format.outcome(request.outcome)
  const status = element(
    "td",
    {},
    element("span", { class: "request-status", "data-mood": moodOf(request) }, `${request.status ?? "–"} ${state}`)
  )
  const figures = [
    tokensOf(request),
    Format.costOf(request),
    Format.duration(request.latency),
    String(request.attempts.length)
  ].map((text) => element("td", {}, text))
  const row = element("tr", {}, element("th", { scope: "row" }, toggle), ...cells, status, ...figures)
  const body = element("tbody", {}, row)
  let shown: HTMLTableRowElement | undefined
  toggle.addEventListener("click", () => {
    shown ??= body.appendChild(
      element("tr", { hidden: "" }, element("td", { colspan: "9" }, details(request, context)))
    )
    const isShown = shown.hasAttribute("hidden")
    setVisible(shown, isShown)
    toggle.setAttribute("aria-expanded", String(isShown))
  })
  return body
}

/** Puts the bodies into the table in this order; one that stays is not moved, and so keeps its focus. */
const setBodies = (table: HTMLTableElement, bodies: ReadonlyArray<HTMLTableSectionElement>): void => {
  const wanted = new Set(bodies)
  for (const body of Array.from(table.tBodies)) if (!wanted.has(body)) body.remove()
  bodies.forEach((body, index) => {
    if (table.tBodies[index] !== body) table.insertBefore(body, table.tBodies[index] ?? null)
  })
}

export const mount = (section: HTMLElement, context: Context): RequestLog => {
  const table = elementById("request-table", HTMLTableElement)
  const summary = elementById("requests-summary", HTMLParagraphElement)
  const empty = elementById("no-requests", HTMLParagraphElement)
  const more = elementById("more-requests", HTMLButtonElement)
  const totals = elementById("request-totals", HTMLDetailsElement)
  const showTotals = Totals.mount(elementById("totals-tables", HTMLDivElement))
  let requests: ReadonlyArray<LoggedRequest> = []
  let views = new Map<number, HTMLTableSectionElement>()
  let matches = Filter.parse("")
  let limit = firstLength
  let timer: number | undefined
  let current: AbortController | undefined

  const selected = (): ReadonlyArray<LoggedRequest> => requests.filter(matches)

  const render = (): void => {
    const found = selected()
    setBodies(
      table,
      found.slice(0, limit).map((request) => {
        const view = views.get(request.number) ?? rowsOf(request, context)
        views.set(request.number, view)
        return view
      })
    )
    setText(
      summary,
      found.length === requests.length
        ? `the last ${requests.length}`
        : `${found.length} of the last ${requests.length}`
    )
    setVisible(empty, found.length === 0)
    setVisible(more, found.length > limit)
    if (totals.open) showTotals(found)
  }

  /** Adds the requests that are new: those of several workers come again for a while, and in any order. */
  const add = (found: ReadonlyArray<LoggedRequest>): void => {
    const known = new Set(requests.map(({ number }) => number))
    const newest = found.filter(({ number }) => !known.has(number))
    if (newest.length === 0) return
    requests = [...newest, ...requests].sort((a, b) => b.number - a.number).slice(0, capacity)
    context.added(newest)
    const oldest = requests[requests.length - 1]?.number ?? 0
    for (const number of views.keys()) if (number < oldest) views.delete(number)
    render()
  }

  const read = async (token: string | null, controller: AbortController): Promise<void> => {
    try {
      const response = await fetch(`dashboard/requests?after=${requests[0]?.number ?? 0}`, {
        headers: authorized(token),
        signal: controller.signal,
        cache: "no-store"
      })
      const body: { readonly requests?: ReadonlyArray<LoggedRequest> } = response.ok ? await response.json() : {}
      if (current === controller) add(body.requests ?? [])
    } catch {
      // The stream of snapshots tells that the connection is lost.
    }
    if (current === controller) timer = window.setTimeout(() => void read(token, controller), interval)
  }

  const stop = (): void => {
    window.clearTimeout(timer)
    current?.abort()
    current = undefined
  }

  elementById("request-filter", HTMLInputElement).addEventListener("input", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return
    matches = Filter.parse(target.value)
    limit = firstLength
    render()
  })
  totals.addEventListener("toggle", render)
  more.addEventListener("click", () => {
    limit += pageLength
    render()
  })
  elementById("export-csv", HTMLButtonElement).addEventListener("click", () =>
    Export.download("requests.csv", "text/csv", Export.csv(selected()))
  )
  elementById("export-json", HTMLButtonElement).addEventListener("click", () =>
    Export.download("requests.json", "application/json", JSON.stringify(selected(), null, 2))
  )
  setVisible(section, true)
  render()

  return {
    start: (token) => {
      stop()
      requests = []
      views = new Map()
      render()
      const controller = new AbortController()
      current = controller
      void read(token, controller)
    },
    stop
  }
}
