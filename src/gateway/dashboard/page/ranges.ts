/** The time range that is shown: the last minutes, or a part of the history, which the page asks for. */
import type { History } from "../history/model.js"
import type { Snapshot } from "../snapshot.js"
import { toast } from "./actions.js"
import { elementById, setVisible } from "./dom.js"
import type { Figures } from "./figures.js"
import * as HistoryModels from "./historyModels.js"
import { authorized, messageOf } from "./stream.js"
import type { View } from "./view.js"
import * as Views from "./view.js"

const day = 24 * 3_600_000

/** The parts of the history up to now, by the values of their radio buttons. */
const recent: Readonly<Record<string, { readonly name: string; readonly length: number }>> = {
  day: { name: "last 24 hours", length: day },
  week: { name: "last 7 days", length: 7 * day },
  month: { name: "last 30 days", length: 30 * day }
}

/** Milliseconds between two reads of a range up to now. */
const interval = 60_000

export interface Ranges {
  /** The view of the selected range. The same object as before if nothing has changed. */
  readonly view: (snapshot: Snapshot, figures: Figures) => View
}

/** As the value of an input of date and time, in local time. */
const inputValue = (at: number): string => {
  const local = new Date(at - new Date(at).getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 16)
}

export const mount = (token: () => string | null, changed: () => void): Ranges => {
  const group = elementById("window", HTMLFieldSetElement)
  const form = elementById("range", HTMLFormElement)
  const from = elementById("range-from", HTMLInputElement)
  const to = elementById("range-to", HTMLInputElement)
  const models = HistoryModels.mount(elementById("history-models", HTMLDetailsElement))
  let minutes = 5
  /** The view of the history; absent while the last minutes are shown. */
  let shown: View | undefined
  let request: AbortController | undefined
  let timer: number | undefined

  const stop = (): void => {
    window.clearInterval(timer)
    request?.abort()
  }

  const read = async (start: number, end: number, name: string): Promise<void> => {
    request?.abort()
    const controller = new AbortController()
    request = controller
    group.setAttribute("aria-busy", "true")
    try {
      const response = await fetch(`dashboard/history?from=${Math.round(start)}&to=${Math.round(end)}`, {
        headers: authorized(token()),
        signal: controller.signal,
        cache: "no-store"
      })
      if (response.ok) {
        const history: History = await response.json()
        shown = Views.ofHistory(history, name)
        models(history.models)
        changed()
      } else toast(await messageOf(response), "bad")
    } catch {
      if (!controller.signal.aborted) toast("The history cannot be read.", "bad")
    }
    if (request === controller) group.setAttribute("aria-busy", "false")
  }

  const select = (value: string): void => {
    stop()
    setVisible(form, value === "custom")
    const range = recent[value]
    if (range !== undefined) {
      const readNow = (): void => {
        const isLive = document.documentElement.dataset["view"] === "live"
        if (isLive && !document.hidden) void read(Date.now() - range.length, Date.now(), range.name)
      }
      timer = window.setInterval(readNow, interval)
      readNow()
    } else if (value === "custom") {
      if (from.value === "") from.value = inputValue(Date.now() - day)
      if (to.value === "") to.value = inputValue(Date.now())
      from.focus()
    } else {
      minutes = Number(value)
      shown = undefined
      models(undefined)
      changed()
    }
  }

  group.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLInputElement) select(target.value)
  })

  form.addEventListener("submit", (event) => {
    event.preventDefault()
    const [start, end] = [new Date(from.value).getTime(), new Date(to.value).getTime()]
    if (start < end) void read(start, end, Views.nameOf(start, end))
    else toast("The range ends before it begins.", "bad")
  })

  return {
    view: (snapshot, figures) => {
      for (const label of group.querySelectorAll<HTMLLabelElement>(".of-history")) {
        setVisible(label, snapshot.hasHistory)
      }
      return shown ?? Views.live(figures, snapshot, minutes)
    }
  }
}
