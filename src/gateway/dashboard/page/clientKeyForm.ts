/** The form of the settings of a client key. */
import { elementById, setText } from "./dom.js"

/** A key as `/admin/keys` lists it. */
export interface ClientKey extends Settings {
  readonly id: string
  readonly createdAt: string
  readonly configured?: boolean
}

/** The settings that `/admin/keys` takes: `VirtualKey.Settings` as JSON. */
export interface Settings {
  readonly label?: string
  readonly models?: ReadonlyArray<string>
  readonly budget?: Budget
  readonly rateLimit?: Readonly<Partial<Record<Limit, number>>>
  readonly weight?: number
  readonly expiresAt?: string
}

export type Budget = { readonly period?: string } & (
  | { readonly dollars: number; readonly tokens?: never }
  | { readonly tokens: number; readonly dollars?: never }
)

export const limits = ["requestsPerMinute", "requestsPerDay", "tokensPerMinute", "maxConcurrent"] as const

export type Limit = (typeof limits)[number]

/** A time as the field shows it, which has no time zone and means local time. */
const localTime = (iso: string): string => {
  const at = new Date(iso)
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}

/** The text of each field, by its name. */
const textsOf = ({
  budget,
  expiresAt,
  label,
  models,
  rateLimit,
  weight
}: Settings): Readonly<Record<string, string>> => ({
  label: label ?? "",
  models: models?.join(", ") ?? "",
  ...Object.fromEntries(limits.map((limit) => [limit, String(rateLimit?.[limit] ?? "")])),
  amount: String(budget?.dollars ?? budget?.tokens ?? ""),
  unit: budget?.tokens === undefined ? "dollars" : "tokens",
  period: budget?.period ?? "forever",
  weight: String(weight ?? ""),
  expiresAt: expiresAt === undefined ? "" : localTime(expiresAt)
})

const expiryOf = (text: string, before: string | undefined): string =>
  before !== undefined && text === localTime(before) ? before : new Date(text).toISOString()

/** `before`: the settings in the form when it was opened. Its field of a time has no seconds, so a time that stays is kept. */
const settingsOf = (textOf: (name: string) => string, before: Settings): Settings => {
  const models = textOf("models")
    .split(",")
    .map((model) => model.trim())
    .filter((model) => model !== "")
  const rateLimit = limits.flatMap((limit) => (textOf(limit) === "" ? [] : [[limit, Number(textOf(limit))] as const]))
  const [amount, unit, period] = [Number(textOf("amount")), textOf("unit"), { period: textOf("period") }]
  return {
    ...(textOf("label") === "" ? {} : { label: textOf("label") }),
    ...(models.length === 0 ? {} : { models }),
    ...(rateLimit.length === 0 ? {} : { rateLimit: Object.fromEntries(rateLimit) }),
    ...(amount === 0
      ? {}
      : { budget: unit === "tokens" ? { tokens: amount, ...period } : { dollars: amount, ...period } }),
    ...(textOf("weight") === "" ? {} : { weight: Number(textOf("weight")) }),
    ...(textOf("expiresAt") === "" ? {} : { expiresAt: expiryOf(textOf("expiresAt"), before.expiresAt) })
  }
}

/** Opens the form with these settings. Calls `submit` with the new ones, and stays open while it resolves with a reason against them. */
export const open = (
  title: string,
  confirm: string,
  settings: Settings,
  submit: (settings: Settings) => Promise<string | undefined>
): void => {
  const dialog = elementById("key-dialog", HTMLDialogElement)
  const form = elementById("key-form", HTMLFormElement)
  const button = elementById("key-confirm", HTMLButtonElement)
  const problem = elementById("key-problem", HTMLParagraphElement)
  setText(problem, "")
  setText(elementById("key-dialog-title", HTMLHeadingElement), title)
  setText(button, confirm)
  const fields = Array.from(form.elements).filter(
    (field) => field instanceof HTMLInputElement || field instanceof HTMLSelectElement
  )
  const texts = textsOf(settings)
  for (const field of fields) field.value = texts[field.name] ?? ""
  const textOf = (name: string): string => fields.find((field) => field.name === name)?.value.trim() ?? ""
  const done = new AbortController()
  form.addEventListener(
    "submit",
    (event) => {
      event.preventDefault()
      button.disabled = true
      void submit(settingsOf(textOf, settings)).then((reason) => {
        button.disabled = false
        setText(problem, reason ?? "")
        if (reason === undefined) dialog.close()
      })
    },
    { signal: done.signal }
  )
  elementById("key-cancel", HTMLButtonElement).addEventListener("click", () => dialog.close(), { signal: done.signal })
  dialog.addEventListener("close", () => done.abort(), { signal: done.signal })
  dialog.showModal()
}
