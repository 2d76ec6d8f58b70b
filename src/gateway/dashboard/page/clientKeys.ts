/** The keys of clients: a table, and their creation, change, rotation and revocation. */
import { ask, copy, send, toast } from "./actions.js"
import type { Budget, ClientKey, Settings } from "./clientKeyForm.js"
import * as Form from "./clientKeyForm.js"
import type { View } from "./dom.js"
import { element, elementById, keyedChildren, setText, setVisible } from "./dom.js"
import * as Format from "./format.js"
import { authorized, messageOf } from "./stream.js"

/** Milliseconds between two reads. */
const interval = 10_000

export interface ClientKeys {
  /** Reads the keys until `stop`. */
  readonly start: (token: string | null) => void
  readonly stop: () => void
}

// -------------------------------------------------------------------------------------
// rows
// -------------------------------------------------------------------------------------

const nameOf = ({ id, label }: ClientKey): string => label ?? id

/** Of a limit of one. */
const limitTexts: Readonly<Record<Form.Limit, string>> = {
  requestsPerMinute: "request a minute",
  requestsPerDay: "request a day",
  tokensPerMinute: "token a minute",
  maxConcurrent: "call at once"
}

const limitsOf = ({ rateLimit = {} }: ClientKey): string =>
  Form.limits
    .flatMap((limit) => {
      const most = rateLimit[limit]
      return most === undefined
        ? []
        : [`${Format.count(most)} ${most === 1 ? limitTexts[limit] : limitTexts[limit].replace(" ", "s ")}`]
    })
    .join(", ") || "none"

const budgetOf = (budget: Budget | undefined): string => {
  if (budget === undefined) return "none"
  const amount = budget.dollars === undefined ? `${Format.count(budget.tokens)} tokens` : Format.dollars(budget.dollars)
  const { period = "forever" } = budget
  return period === "forever" ? amount : `${amount} ${period === "hour" ? "an" : "a"} ${period}`
}

const dateOf = (iso: string): string =>
  new Date(iso).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })

const expiryOf = ({ expiresAt }: ClientKey): string =>
  expiresAt === undefined ? "never" : Date.parse(expiresAt) <= Date.now() ? "expired" : dateOf(expiresAt)

interface RowActions {
  readonly change: (key: ClientKey) => void
  readonly rotate: (key: ClientKey) => void
  readonly revoke: (key: ClientKey) => void
}

const rowOf = (first: ClientKey, actions: RowActions): View<ClientKey> => {
  let latest = first
  const name = element("b")
  const cells = Array.from({ length: 6 }, () => element("td"))
  const buttons = (
    [
      ["Change", actions.change],
      ["Rotate", actions.rotate],
      ["Revoke", actions.revoke]
    ] as const
  ).map(([text, act]) => {
    const button = element("button", { type: "button", class: "small" }, text)
    button.addEventListener("click", () => act(latest))
    return { button, text }
  })
  const fixed = element("span", { class: "fine" }, "configured")
  return {
    node: element(
      "tr",
      {},
      element("th", { scope: "row" }, name, " ", element("code", {}, first.id)),
      ...cells,
      element("td", {}, element("div", { class: "actions" }, fixed, ...buttons.map(({ button }) => button)))
    ),
    update: (key) => {
      latest = key
      setText(name, key.label ?? "")
      const texts = [
        key.models?.join(", ") ?? "all",
        limitsOf(key),
        budgetOf(key.budget),
        Format.count(key.weight ?? 1),
        dateOf(key.createdAt),
        expiryOf(key)
      ]
      cells.forEach((cell, index) => {
        setText(cell, texts[index] ?? "")
        cell.title = texts[index] ?? ""
      })
      // A configured key is changed where it is configured; the gateway can only revoke it.
      setVisible(fixed, key.configured === true)
      for (const { button, text } of buttons) {
        button.setAttribute("aria-label", `${text} key ${nameOf(key)}`)
        setVisible(button, key.configured !== true || text === "Revoke")
      }
    }
  }
}

// -------------------------------------------------------------------------------------
// the secret
// -------------------------------------------------------------------------------------

/** Shows a secret until the dialog is closed, and then removes it from the page. Escape does not close it by accident. */
const mountSecret = (): ((title: string, secret: string) => void) => {
  const dialog = elementById("secret-dialog", HTMLDialogElement)
  const field = elementById("secret", HTMLInputElement)
  dialog.addEventListener("cancel", (event) => event.preventDefault())
  dialog.addEventListener("close", () => (field.value = ""))
  elementById("copy-secret", HTMLButtonElement).addEventListener("click", () => {
    field.select()
    copy(field.value, "The key is copied")
  })
  return (title, secret) => {
    setText(elementById("secret-title", HTMLHeadingElement), title)
    field.value = secret
    dialog.showModal()
    field.select()
  }
}

// -------------------------------------------------------------------------------------
// the section
// -------------------------------------------------------------------------------------

export const mount = (section: HTMLElement): ClientKeys => {
  const body = elementById("client-key-table", HTMLTableElement).tBodies[0] ?? element("tbody")
  const summary = elementById("client-keys-summary", HTMLParagraphElement)
  const showSecret = mountSecret()
  let token: string | null = null
  let timer: number | undefined
  let current: AbortController | undefined

  const read = async (): Promise<void> => {
    current?.abort()
    window.clearTimeout(timer)
    const controller = new AbortController()
    current = controller
    try {
      const response = await fetch("admin/keys", {
        headers: authorized(token),
        signal: controller.signal,
        cache: "no-store"
      })
      if (response.ok) {
        const { keys }: { readonly keys: ReadonlyArray<ClientKey> } = await response.json()
        if (current === controller) show(keys)
      } else {
        setText(summary, `not up to date: ${await messageOf(response)}`)
        setVisible(section, true)
      }
    } catch {
      // The stream of snapshots tells that the connection is lost.
    }
    if (current === controller) timer = window.setTimeout(() => void read(), interval)
  }

  /** Sends a change, and reads the keys again. */
  const act = async (method: "POST" | "PUT" | "DELETE", path: string, body?: object): Promise<Response | string> => {
    const result = await send(token, method, path, body)
    void read()
    return result
  }

  const secretOf = async (response: Response): Promise<string> => {
    const { key }: { readonly key: string } = await response.json()
    return key
  }

  const create = async (settings: Settings): Promise<string | undefined> => {
    const result = await act("POST", "keys", settings)
    if (typeof result === "string") return result
    const secret = await secretOf(result)
    // The dialog of the form closes first.
    window.setTimeout(() => showSecret("New key", secret))
    return undefined
  }

  const actions: RowActions = {
    change: (key) =>
      Form.open(`Change ${nameOf(key)}`, "Change", key, async (settings) => {
        const result = await act("PUT", `keys/${key.id}`, settings)
        if (typeof result === "string") return result
        toast(`${nameOf(key)} is changed`)
        return undefined
      }),
    rotate: async (key) => {
      const answer = await ask({
        title: `Replace the secret of ${nameOf(key)}?`,
        text: "The present secret is refused from then on. Limits, budget and label stay.",
        confirm: "Replace"
      })
      if (answer === undefined) return
      const result = await act("POST", `keys/${key.id}/rotate`)
      if (typeof result === "string") toast(result, "bad")
      else showSecret(`New secret of ${nameOf(key)}`, await secretOf(result))
    },
    revoke: async (key) => {
      const answer = await ask({
        title: `Revoke ${nameOf(key)}?`,
        text: `Clients with the key ${key.id} are refused from then on. This cannot be undone.`,
        confirm: "Revoke"
      })
      if (answer === undefined) return
      const result = await act("DELETE", `keys/${key.id}`)
      if (typeof result === "string") toast(result, "bad")
      else toast(`${nameOf(key)} is revoked`)
    }
  }

  const rows = keyedChildren<ClientKey>(
    body,
    ({ id }) => id,
    (key) => rowOf(key, actions)
  )

  const show = (keys: ReadonlyArray<ClientKey>): void => {
    rows(keys)
    setText(summary, keys.length === 1 ? "1 key" : `${keys.length} keys`)
    setVisible(elementById("no-client-keys", HTMLParagraphElement), keys.length === 0)
    setVisible(section, true)
  }

  elementById("create-key", HTMLButtonElement).addEventListener("click", () =>
    Form.open("Create a key", "Create", {}, create)
  )

  return {
    start: (next) => {
      token = next
      // An open gateway has no administration, and so no keys.
      if (token !== null) void read()
    },
    stop: () => {
      window.clearTimeout(timer)
      current?.abort()
      current = undefined
    }
  }
}
