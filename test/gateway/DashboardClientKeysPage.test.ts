/** Tests of client keys in the dashboard page in Chromium. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { browserOfFile, live, looksRight, screenshot, signIn, step, unnamed } from "./support/browser.js"
import { adminToken, start } from "./support/dashboard.js"
import { post, question, send } from "./support/http.js"

const { openPage, page: builtPage } = browserOfFile()

const keys = [{ key: "sk-team-a", label: "team-a", budget: { tokens: 2_000_000, period: "day" } }] as const

const withKeys = Effect.gen(function* () {
  const { url } = yield* start({ page: yield* builtPage, access: { adminToken, keys } })
  const { page, warnings } = yield* openPage(url, {
    viewport: { width: 1440, height: 1000 },
    reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"]
  })
  yield* step(() => signIn(page))
  yield* step(() => live(page))
  const chat = (key: string) =>
    Effect.map(
      post(`${url}/v1/chat/completions`, question("chat completions", "fast"), { authorization: `Bearer ${key}` }),
      ({ status }) => status
    )
  return { chat, page, url, warnings }
})

describe.concurrent("client keys in the dashboard page", () => {
  it.scopedLive("creates, changes, rotates and revokes a key with the keyboard alone", () =>
    Effect.gen(function* () {
      const { chat, page, warnings } = yield* withKeys
      const table = page.getByRole("table", { name: "Client keys" })
      const press = (...names: ReadonlyArray<string>) =>
        Effect.forEach(names, (name) => step(() => page.keyboard.press(name)), { discard: true })
      const type = (text: string) => step(() => page.keyboard.type(text))
      const secretShown = Effect.gen(function* () {
        const field = page.locator("#secret")
        yield* step(() => field.waitFor())
        return yield* step(() => field.inputValue())
      })
      yield* step(() => table.getByRole("row", { name: /team-a/ }).waitFor())
      // A configured key can only be revoked here.
      const configured = table.getByRole("row", { name: /team-a/ })
      expect(yield* step(() => configured.getByRole("button").allInnerTexts())).toEqual(["Revoke"])
      expect(yield* step(() => configured.innerText())).toMatch(/all\s+none\s+2M tokens a day\s+1\s/)

      yield* step(() => page.getByRole("button", { name: "Create key" }).press("Enter"))
      yield* step(() => page.getByRole("dialog", { name: "Create a key" }).waitFor())
      expect(yield* step(() => unnamed(page))).toEqual([])
      yield* type("team-b")
      yield* press("Tab")
      yield* type("fast, openai/*")
      yield* press("Tab")
      yield* type("100")
      yield* screenshot(page, "client-key-form")
      yield* press("Enter")
      const secret = yield* secretShown
      expect(secret).toMatch(/^sk-llm-/)
      yield* press("Escape")
      expect(yield* step(() => page.getByRole("dialog", { name: "New key" }).isVisible())).toBe(true)
      yield* screenshot(page, "client-key-secret")
      yield* step(() => page.getByRole("button", { name: "Copy" }).press("Enter"))
      yield* step(() => page.getByText("The key is copied").waitFor())
      expect(yield* step(() => page.evaluate(() => navigator.clipboard.readText()))).toBe(secret)
      yield* step(() => page.getByRole("button", { name: "Done" }).press("Enter"))
      yield* step(() => page.getByRole("dialog").waitFor({ state: "hidden" }))
      // The secret was shown once.
      expect(yield* step(() => page.locator("#secret").inputValue())).toBe("")
      expect(yield* step(() => page.evaluate(() => JSON.stringify([localStorage, sessionStorage])))).not.toContain(
        secret
      )
      expect(yield* chat(secret)).toBe(200)

      const row = table.getByRole("row", { name: /team-b/ })
      expect(yield* step(() => row.innerText())).toMatch(/fast, openai\/\*\s+100 requests a minute\s+none\s/)
      yield* step(() => row.getByRole("button", { name: "Change key team-b" }).press("Enter"))
      yield* step(() => page.getByRole("dialog", { name: "Change team-b" }).waitFor())
      expect(yield* step(() => page.getByLabel("Models, separated by commas").inputValue())).toBe("fast, openai/*")
      yield* step(() => page.getByLabel("Requests a minute", { exact: true }).fill("1"))
      yield* step(() => page.getByLabel("Budget", { exact: true }).fill("20"))
      yield* step(() => page.getByLabel("Period of the budget").selectOption("month"))
      yield* step(() => page.getByLabel("Expires", { exact: true }).fill("2999-12-31T12:00"))
      yield* step(() => page.getByRole("button", { name: "Change", exact: true }).press("Enter"))
      yield* step(() => row.getByText("$20.00 a month").waitFor())
      expect(yield* step(() => row.innerText())).toMatch(/1 request a minute\s+\$20.00 a month.*31 Dec 2999/s)
      expect(yield* step(() => page.evaluate(() => document.activeElement?.getAttribute("aria-label")))).toBe(
        "Change key team-b"
      )

      yield* looksRight(page, "client-keys", true)

      // A cancelled question changes nothing.
      yield* step(() => row.getByRole("button", { name: "Rotate key team-b" }).press("Enter"))
      yield* step(() => page.getByRole("dialog", { name: "Replace the secret of team-b?" }).waitFor())
      yield* press("Escape")
      yield* step(() => page.getByRole("dialog").waitFor({ state: "hidden" }))
      yield* step(() => row.getByRole("button", { name: "Rotate key team-b" }).press("Enter"))
      yield* press("Tab", "Enter")
      const rotated = yield* secretShown
      expect(rotated).not.toBe(secret)
      yield* step(() => page.getByRole("button", { name: "Done" }).press("Enter"))
      expect(yield* chat(secret)).toBe(401)

      yield* step(() => row.getByRole("button", { name: "Revoke key team-b" }).press("Enter"))
      yield* step(() => page.getByRole("dialog", { name: "Revoke team-b?" }).waitFor())
      // A dialog begins with Cancel.
      yield* press("Tab", "Enter")
      yield* step(() => row.waitFor({ state: "detached" }))
      expect(yield* chat(rotated)).toBe(401)
      expect(warnings.filter((warning) => !warning.includes("401"))).toEqual([])
    })
  )

  it.scopedLive("keeps the time of an expiry that is not changed, and says when the keys cannot be read", () =>
    Effect.gen(function* () {
      const { page, url } = yield* withKeys
      const admin = { authorization: `Bearer ${adminToken}` }
      const expiresAt = "2999-01-01T00:00:30.500Z"
      yield* post(`${url}/admin/keys`, { label: "team-c", rateLimit: { maxConcurrent: 2 }, expiresAt }, admin)
      const row = page.getByRole("table", { name: "Client keys" }).getByRole("row", { name: /team-c/ })
      yield* step(() => page.reload())
      yield* step(() => row.getByText("2 calls at once").waitFor())
      yield* step(() => row.getByRole("button", { name: "Change key team-c" }).press("Enter"))
      yield* step(() => page.getByLabel("Weight", { exact: true }).fill("2"))
      yield* step(() => page.getByRole("button", { name: "Change", exact: true }).press("Enter"))
      yield* step(() => page.getByText("team-c is changed").waitFor())
      const { json } = yield* send(`${url}/admin/keys`, { headers: admin })
      expect(json).toMatchObject({ keys: [{}, { weight: 2, rateLimit: { maxConcurrent: 2 }, expiresAt }] })

      const body = JSON.stringify({ error: { message: "The keys cannot be reached." } })
      yield* step(() => page.route("**/admin/keys", (route) => route.fulfill({ status: 503, body })))
      yield* step(() => page.reload())
      yield* step(() => page.getByText("not up to date: The keys cannot be reached.").waitFor())
    })
  )

  it.scopedLive("shows why a key is refused, and keeps the form open", () =>
    Effect.gen(function* () {
      const { page } = yield* withKeys
      yield* step(() => page.getByRole("button", { name: "Create key" }).press("Enter"))
      yield* step(() => page.getByLabel("Budget", { exact: true }).fill("1.5"))
      yield* step(() => page.getByLabel("Unit of the budget").selectOption("tokens"))
      yield* step(() => page.getByRole("button", { name: "Create", exact: true }).press("Enter"))
      yield* step(() => page.getByRole("alert").getByText("budget").waitFor())
      expect(yield* step(() => page.getByRole("dialog", { name: "Create a key" }).isVisible())).toBe(true)
      expect(yield* step(() => page.getByLabel("Budget", { exact: true }).inputValue())).toBe("1.5")
    })
  )
})
