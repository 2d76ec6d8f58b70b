/** The actions of the page, each one request to `/admin`. */
import { element, setVisible, elementById, setText } from "./dom.js"
import { authorized, messageOf } from "./stream.js"

export interface Actions {
  readonly deployments: {
    readonly disable: (group: string, deployment: string) => Promise<void>
    readonly enable: (group: string, deployment: string) => Promise<void>
    readonly reweight: (group: string, deployment: string, weight: number) => Promise<void>
  }
  readonly disable: (model: string, key: string) => Promise<void>
  readonly enable: (model: string, key: string) => Promise<void>
  readonly cool: (model: string, key: string) => Promise<void>
  readonly reweight: (model: string, key: string, weight: number) => Promise<void>
  readonly clearCaches: () => Promise<void>
}

/** Shows a short message at the edge of the page. */
export const toast = (text: string, mood: "good" | "bad" = "good"): void => {
  const toasts = elementById("toasts", HTMLDivElement)
  const node = element("p", { class: "toast", "data-mood": mood }, text)
  toasts.append(node)
  while (toasts.children.length > 3) toasts.firstElementChild?.remove()
  window.setTimeout(() => node.remove(), mood === "good" ? 4000 : 8000)
}

/** Copies a text to the clipboard. */
export const copy = (text: string, message: string): void => {
  // A page without TLS on another machine has no clipboard.
  const copied: Promise<void> = navigator.clipboard?.writeText(text) ?? Promise.reject()
  copied.then(
    () => toast(message),
    () => toast("The browser does not let this page copy. Select the text, and copy it.", "bad")
  )
}

interface Question {
  readonly title: string
  readonly text: string
  readonly confirm: string
  readonly field?: { readonly label: string; readonly value: number; readonly min: number; readonly step: string }
}

let questionCount = 0

/** Opens the dialog. Resolves with `undefined` if it is cancelled, and with zero if it is confirmed without a field. */
export const ask = ({ confirm, field, text, title }: Question): Promise<number | undefined> => {
  const dialog = elementById("dialog", HTMLDialogElement)
  const form = elementById("dialog-form", HTMLFormElement)
  const input = elementById("dialog-input", HTMLInputElement)
  const cancel = elementById("dialog-cancel", HTMLButtonElement)
  setText(elementById("dialog-title", HTMLHeadingElement), title)
  setText(elementById("dialog-text", HTMLParagraphElement), text)
  setText(elementById("dialog-confirm", HTMLButtonElement), confirm)
  setVisible(elementById("dialog-field", HTMLDivElement), field !== undefined)
  input.required = field !== undefined
  input.disabled = field === undefined
  if (field !== undefined) {
    setText(elementById("dialog-label", HTMLLabelElement), field.label)
    input.min = String(field.min)
    input.step = field.step
    input.value = String(field.value)
  }
  return new Promise((resolve) => {
    const done = new AbortController()
    let answer: number | undefined
    const { signal } = done
    const question = ++questionCount
    form.addEventListener("submit", () => (answer = field === undefined ? 0 : input.valueAsNumber), { signal })
    cancel.addEventListener("click", () => dialog.close(), { signal })
    dialog.addEventListener(
      "close",
      () => {
        // The browser fires `close` late: the dialog can already be open again for the next question.
        if (dialog.open && question === questionCount) return
        done.abort()
        resolve(answer)
      },
      { signal }
    )
    dialog.showModal()
    if (field !== undefined) input.select()
  })
}

/** Sends a request to `/admin`. Resolves with the response if it succeeds, otherwise with the reason in words. */
export const send = async (
  token: string | null,
  method: "POST" | "PUT" | "DELETE",
  path: string,
  body: object = {}
): Promise<Response | string> => {
  try {
    const response = await fetch(`admin/${path}`, {
      method,
      headers: { ...authorized(token), "content-type": "application/json" },
      ...(method === "DELETE" ? {} : { body: JSON.stringify(body) })
    })
    return response.ok ? response : await messageOf(response)
  } catch {
    return "The gateway cannot be reached."
  }
}

export const make = (token: () => string | null): Actions => {
  const post = async (path: string, body: object, message: string): Promise<void> => {
    const result = await send(token(), "POST", path, body)
    if (typeof result === "string") toast(result, "bad")
    else toast(message)
  }
  /** Resolves with the new weight, or `undefined` if the dialog is cancelled. */
  const askWeight = (text: string, value: number): Promise<number | undefined> =>
    ask({
      title: "Change the weight",
      text,
      confirm: "Change",
      field: { label: "Weight", value, min: 0.01, step: "any" }
    })
  const postDeployment = (action: string, model: string, deployment: string, message: string, more: object = {}) =>
    post(`deployments/${action}`, { model, deployment, ...more }, `${deployment} ${message}`)
  return {
    deployments: {
      disable: (group, id) => postDeployment("disable", group, id, `of ${group} is disabled`),
      enable: (group, id) => postDeployment("enable", group, id, `of ${group} is enabled`),
      reweight: async (group, id, current) => {
        const weight = await askWeight(
          `If the group uses weights, a deployment of weight 2 gets twice the calls of one of weight 1. This is ${id} of ${group}.`,
          current
        )
        if (weight !== undefined) await postDeployment("reweight", group, id, `has weight ${weight}`, { weight })
      }
    },
    disable: (model, key) => post("pools/disable", { model, key }, `${key} is disabled`),
    enable: (model, key) => post("pools/enable", { model, key }, `${key} is enabled`),
    cool: async (model, key) => {
      const seconds = await ask({
        title: "Pause key",
        text: `${key} of ${model} gets no calls for this time. Calls in flight continue.`,
        confirm: "Pause",
        field: { label: "Seconds", value: 60, min: 1, step: "1" }
      })
      if (seconds !== undefined) await post("pools/cool", { model, key, seconds }, `${key} pauses for ${seconds} s`)
    },
    reweight: async (model, key, current) => {
      const weight = await askWeight(
        `A key of weight 2 gets twice the calls of one of weight 1. This is ${key} of ${model}.`,
        current
      )
      if (weight !== undefined) await post("pools/reweight", { model, key, weight }, `${key} has weight ${weight}`)
    },
    clearCaches: async () => {
      const answer = await ask({
        title: "Clear the caches?",
        text: "All cached answers and vectors are removed, and the next requests go to the providers.",
        confirm: "Clear"
      })
      if (answer !== undefined) await post("caches/clear", {}, "The caches are empty")
    }
  }
}
