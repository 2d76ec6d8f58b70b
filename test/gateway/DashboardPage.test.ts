/** Tests of the dashboard page in Chromium. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { readFile } from "node:fs/promises"
import type { Page } from "playwright-core"
import { SimulatedProvider } from "../../src/testing/index.js"
import { browserOfFile, live, looksRight, screenshot, signIn, step, tile, unnamed } from "./support/browser.js"
import type { Settings } from "./support/dashboard.js"
import { adminToken, canary, start } from "./support/dashboard.js"
import { post, reading } from "./support/http.js"

const { openPage, page } = browserOfFile()

const authorization = { authorization: `Bearer ${adminToken}` }

const chatBody = (model: string, stream: boolean, content: string) => ({
  model,
  stream,
  max_tokens: 50,
  messages: [{ role: "user", content }]
})

const ask = (url: string, model: string, stream: boolean, content: string) =>
  post(`${url}/v1/chat/completions`, chatBody(model, stream, content), authorization)

const models = ["openai/gpt-large", "fast", "deepseek/deepseek-chat", "anything"]

/** Sends calls to every model, some of which fail and some of which are repeated. */
const load = (url: string, from: number, to: number) =>
  Effect.forEach(
    Array.from({ length: to - from }, (_, index) => from + index),
    (index) => ask(url, models[index % models.length] ?? "fast", index % 3 > 0, `question ${index % 30} of many words`),
    { concurrency: 8, discard: true }
  )

const provider: SimulatedProvider.Options = {
  latency: { min: "1 millis", max: "20 millis" },
  tokenPace: { min: "1 millis", max: "2 millis" },
  answer: () => "An answer of a few words, which takes its time to come.",
  faults: (index) =>
    index === 20
      ? SimulatedProvider.status(429, { retryAfter: "10 minutes" })
      : index % 17 === 9
        ? SimulatedProvider.status(400, { message: "no" })
        : index % 23 === 11
          ? SimulatedProvider.garbage
          : undefined
}

interface OpenPage {
  readonly url: string
  readonly page: Page
  readonly warnings: ReadonlyArray<string>
  readonly provider: SimulatedProvider.Service
}

/** Starts a gateway and opens its page in a browser. */
const withPage = <A>(
  use: (open: OpenPage) => Effect.Effect<A, unknown, Scope.Scope>,
  settings: Omit<Settings, "page"> = {}
) =>
  Effect.gen(function* () {
    const gateway = yield* start({ page: yield* page, provider, ...settings })
    const seen = yield* openPage(gateway.url, { viewport: { width: 1440, height: 1000 }, reducedMotion: "reduce" })
    return yield* use({ ...seen, url: gateway.url, provider: gateway.provider })
  })

/** The card of a model. */
const modelNamed = (page: Page, id: string) => page.getByRole("article", { name: id, exact: true })

const hasRequests = (page: Page, count: number) =>
  step(() =>
    page.waitForFunction((text) => document.querySelector(".tile .value")?.textContent === text, String(count))
  )

// Each test waits for updates that arrive every second, so the tests run concurrently.
describe.concurrent("dashboard page in a browser", () => {
  it.scopedLive("shows live figures without overflow or unnamed elements at each width and colour scheme", () =>
    withPage(
      ({ warnings, page, provider, url }) =>
        Effect.gen(function* () {
          yield* step(() => page.getByLabel("Admin token").waitFor())
          yield* screenshot(page, "sign-in", true)
          yield* step(() => signIn(page))
          yield* step(() => live(page))
          expect(yield* step(() => tile(page, "Requests"))).toBe("0")
          expect(yield* step(() => tile(page, "First token p95"))).toBe("–")
          yield* screenshot(page, "empty", true)
          yield* load(url, 0, 40)
          yield* hasRequests(page, 40)
          yield* load(url, 40, 100)
          yield* hasRequests(page, 100)
          yield* provider.next(SimulatedProvider.hang())
          yield* reading(`${url}/v1/chat/completions`, chatBody("fast", false, "a new one"), authorization)
          yield* step(() => page.getByText("· 1 now").waitFor())
          expect(yield* step(() => tile(page, "First token p95"))).toMatch(/^[\d.]+ m?s$/)
          expect(yield* step(() => tile(page, "Latency p95"))).toMatch(/^[\d.]+ m?s$/)
          expect(yield* step(() => tile(page, "Cost"))).toMatch(/^\$\d/)
          expect(yield* step(() => tile(page, "Errors"))).toMatch(/^\d+(\.\d)?%$/)
          const large = modelNamed(page, "openai/gpt-large")
          yield* step(() =>
            page
              .getByText(/cooling/)
              .first()
              .waitFor()
          )
          expect(yield* step(() => large.getByRole("table").getByRole("row").count())).toBe(4)
          yield* looksRight(page, "page", true)
          // In the card layout the tables keep their roles.
          expect(yield* step(() => large.getByRole("table").getByRole("row").count())).toBe(4)
          const budgets = page.locator("#budgets .entry")
          expect(yield* step(() => budgets.locator(".name").allInnerTexts())).toEqual([
            "everything",
            "tokens",
            "Key team-a",
            "Key team-b"
          ])
          expect(yield* step(() => budgets.nth(2).locator("b").innerText())).toBe("0 of 2M tokens a day")
          const html = yield* step(() => page.content())
          for (const secret of [canary, "sk-team"]) expect(html).not.toContain(secret)
          expect(warnings).toEqual([])
        }),
      {
        access: {
          adminToken,
          keys: [
            { key: "sk-team-a", label: "team-a", budget: { tokens: 2_000_000, period: "day" } },
            { key: "sk-team-b", label: "team-b", budget: { dollars: 20 } }
          ]
        }
      }
    )
  )

  it.scopedLive("collapses the cards of models on a phone, by provider, and opens them with the keyboard", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page: yield* page, provider })
      const { page: phone, warnings } = yield* openPage(url, { viewport: { width: 400, height: 900 } })
      yield* step(() => signIn(phone))
      yield* step(() => live(phone))
      const small = modelNamed(phone, "openai/gpt-small")
      yield* ask(url, "fast", false, "a question")
      yield* step(() => small.getByText("1 request · unknown · 1 ready").waitFor())
      const cost = phone.locator(".chart", { has: phone.getByRole("heading", { name: "Cost" }) })
      expect(yield* step(() => cost.locator(".legend").innerText())).toMatch(/dollars\s+unknown/)
      expect(yield* step(() => cost.getAttribute("aria-label").then((label) => label ?? cost.innerHTML()))).toContain(
        "unknown"
      )
      const sections = phone.locator("#model-list section")
      expect(yield* step(() => sections.locator("h3").allInnerTexts())).toEqual(["openai", "deepseek", "Groups"])
      expect(yield* step(() => modelNamed(phone, "openai/gpt-large").getByRole("table").count())).toBe(0)
      const height = yield* step(() => phone.evaluate(() => document.querySelector("#models")?.clientHeight ?? 0))
      // The screen of a phone; five open cards took 5,600 pixels.
      expect(height).toBeLessThan(900)
      yield* screenshot(phone, "models-phone", true)

      yield* step(() => small.locator("summary").press("Enter"))
      yield* step(() => small.getByRole("table").waitFor())
      yield* step(() => phone.getByRole("button", { name: "Expand all" }).press("Enter"))
      yield* step(() => modelNamed(phone, "balanced").getByRole("table").waitFor())
      yield* step(() => phone.getByRole("button", { name: "Collapse all" }).press("Enter"))
      expect(yield* step(() => phone.locator("#model-list").getByRole("table").count())).toBe(0)

      const line = small.getByRole("img", { name: /Requests a minute/ })
      expect(yield* step(() => line.getAttribute("aria-label"))).toContain("last 5 minutes, at most 1")
      yield* step(() => phone.getByLabel("1 hour").check({ force: true }))
      yield* step(() => small.getByRole("img", { name: /last 60 minutes/ }).waitFor())
      expect(warnings).toEqual([])
    })
  )

  it.scopedLive("logs requests with a filter, details by the keyboard alone, and exports", () =>
    withPage(
      ({ warnings, page, url, provider }) =>
        Effect.gen(function* () {
          yield* step(() => signIn(page))
          yield* step(() => live(page))
          yield* ask(url, "openai/gpt-small", true, "one")
          yield* provider.next(SimulatedProvider.status(401), SimulatedProvider.status(400, { message: "<b>no</b>" }))
          yield* ask(url, "openai/gpt-large", false, "two")
          yield* post(`${url}/v1/chat/completions`, chatBody("=no-such-model", false, "three"), authorization)
          const rows = page.locator("#request-table tbody")
          yield* step(() => rows.nth(2).waitFor())
          const texts = yield* step(() => rows.allInnerTexts())
          expect(texts.map((text) => /(refused|openai)/.exec(text)?.[0])).toEqual(["refused", "openai", "openai"])
          expect(texts[0]).toContain("404 model not found")
          expect(texts[1]).toContain("400 invalid request")
          expect(yield* step(() => rows.nth(1).getByRole("cell").last().innerText())).toBe("2")
          expect(texts[2]).toMatch(/200 ok.*in, .* out/s)
          expect(texts[2]).toContain("unknown")

          yield* step(() => page.getByText("Usage by client, key and model").press("Enter"))
          const byModel = page.getByRole("table", { name: "Usage by model" }).getByRole("row")
          yield* step(() => byModel.nth(3).waitFor())
          expect((yield* step(() => byModel.allInnerTexts())).join("\n")).toMatch(/openai\/gpt-large\s+1\s+1\s+0\s/)
          expect(
            yield* step(() => page.getByRole("table", { name: "Usage by client", exact: true }).innerText())
          ).toMatch(/admin\s+3\s+2/)

          yield* step(() => page.getByPlaceholder("Filter, as in status:429 gpt").fill("status:400"))
          yield* step(() => rows.nth(1).waitFor({ state: "detached" }))
          yield* step(() => page.getByText("1 of the last 3").waitFor())
          yield* step(() => rows.first().locator(".request-toggle").press("Enter"))
          expect(yield* step(() => rows.first().locator(".request-toggle").getAttribute("aria-expanded"))).toBe("true")
          const details = yield* step(() => rows.first().locator(".request-details").innerText())
          expect(details).toContain("<b>no</b>")
          expect(details).toMatch(/1\. authentication \(401\).*2\. invalid request \(400\)/s)
          expect(details).toMatch(/Answer \d/)
          yield* step(() => rows.first().getByRole("button", { name: "Show bodies" }).press("Enter"))
          yield* step(() =>
            rows.first().getByRole("region", { name: "Request" }).getByText('"content":"two"').waitFor()
          )
          yield* step(() => rows.first().getByRole("region", { name: "Answer" }).getByText("<b>no</b>").waitFor())
          yield* looksRight(page, "requests", true)
          yield* step(() => page.getByPlaceholder("Filter, as in status:429 gpt").fill(""))
          const exported = (name: string) =>
            step(async () => {
              const [download] = await Promise.all([
                page.waitForEvent("download"),
                page.getByRole("button", { name }).press("Enter")
              ])
              return readFile(await download.path(), "utf8")
            })
          const csv = (yield* exported("Export CSV")).split("\r\n")
          expect(csv[0]).toContain("started_at,request_id,client,client_key,model")
          expect(csv).toHaveLength(4)
          expect(csv[1]).toContain(",'=no-such-model,")
          const json: unknown = JSON.parse(yield* exported("Export JSON"))
          expect(json).toEqual([
            expect.objectContaining({ model: "=no-such-model", refused: true }),
            expect.objectContaining({ status: 400 }),
            expect.objectContaining({ outcome: "ok" })
          ])
          expect(warnings).toEqual([])
        }),
      { bodies: true }
    )
  )

  it.scopedLive("changes keys and clears caches with the keyboard alone", () =>
    withPage(({ warnings, page, url }) =>
      Effect.gen(function* () {
        yield* step(() => signIn(page))
        yield* step(() => live(page))
        const small = modelNamed(page, "openai/gpt-small")
        const state = small.getByRole("cell").first()
        const waitForState = (text: RegExp) => step(() => state.getByText(text).waitFor())
        const press = (...keys: ReadonlyArray<string>) =>
          Effect.forEach(keys, (key) => step(() => page.keyboard.press(key)), { discard: true })

        yield* step(() => page.reload())
        yield* step(() => live(page))
        // From the start of the page to the filter, and from there to the buttons of the only key left.
        yield* press("Tab")
        expect(yield* step(() => page.evaluate(() => document.activeElement?.textContent))).toBe("Skip to the models")
        // Over the button that collapses the cards.
        yield* press("Enter", "Tab", "Tab")
        expect(yield* step(() => page.evaluate(() => document.activeElement?.id))).toBe("filter")
        yield* step(() => page.keyboard.type("gpt-small"))
        yield* step(() => modelNamed(page, "openai/gpt-large").waitFor({ state: "detached" }))
        // Over the summary of the card.
        yield* press("Tab", "Tab")
        const focused = () => step(() => page.evaluate(() => document.activeElement?.textContent))
        expect(yield* focused()).toBe("Disable")
        const outline = yield* step(() =>
          page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle)
        )
        expect(outline).toBe("solid")
        yield* press("Enter")
        yield* waitForState(/disabled.*by hand/)
        yield* step(() => page.locator("#announcer", { hasText: /is disabled/ }).waitFor({ state: "attached" }))
        expect(yield* focused()).toBe("Enable")
        yield* press("Enter")
        yield* waitForState(/ready/)

        expect(yield* focused()).toBe("Disable")
        yield* press("Tab", "Enter")
        yield* step(() => page.getByRole("dialog", { name: "Pause key" }).waitFor())
        expect(yield* step(() => unnamed(page))).toEqual([])
        yield* screenshot(page, "dialog")
        yield* press("Escape")
        yield* step(() => page.getByRole("dialog").waitFor({ state: "hidden" }))
        expect(yield* focused()).toBe("Pause")
        // Opens the dialog again before the browser fires the close event.
        yield* step(() =>
          page.evaluate(() => {
            const cool = document.activeElement
            if (!(cool instanceof HTMLElement)) return
            cool.click()
            document.querySelector("dialog")?.close()
            cool.click()
          })
        )
        yield* step(() => page.keyboard.type("2700"))
        yield* press("Enter")
        yield* waitForState(/cooling.*4[45] min.*resting/)

        yield* step(() => small.getByRole("button", { name: /^Weight/ }).press("Enter"))
        yield* step(() => page.keyboard.type("2.5"))
        yield* press("Enter")
        yield* step(() => small.getByRole("cell", { name: "2.5" }).waitFor())

        yield* ask(url, "openai/gpt-large", false, "the same")
        yield* ask(url, "openai/gpt-large", false, "the same")
        yield* step(() => page.getByText("hits: 1 · misses: 1 · entries: 1").waitFor())
        yield* step(() => page.getByRole("button", { name: "Clear caches" }).press("Enter"))
        yield* press("Tab", "Enter")
        yield* step(() => page.getByText("hits: 0 · misses: 0 · entries: 0").waitFor())
        expect(warnings).toEqual([])
      })
    )
  )

  it.scopedLive("changes the deployments of a group with the keyboard alone", () =>
    withPage(({ warnings, page }) =>
      Effect.gen(function* () {
        yield* step(() => signIn(page))
        yield* step(() => live(page))
        const group = modelNamed(page, "balanced")
        const row = group.getByRole("row", { name: /deepseek/ })
        const waitForState = (text: RegExp) => step(() => row.getByRole("cell").first().getByText(text).waitFor())
        const focused = () => step(() => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? ""))
        const of = "deployment deepseek/deepseek-chat of balanced"
        yield* step(() => group.getByRole("button", { name: `Disable ${of}` }).press("Enter"))
        yield* waitForState(/disabled/)
        yield* step(() =>
          page
            .locator("#announcer", { hasText: "Deployment deepseek/deepseek-chat of balanced is disabled." })
            .waitFor({ state: "attached" })
        )
        expect(yield* focused()).toBe(`Enable ${of}`)
        yield* screenshot(page, "deployments")
        yield* step(() => page.keyboard.press("Enter"))
        yield* waitForState(/ready/)
        expect(yield* focused()).toBe(`Disable ${of}`)
        yield* step(() => page.keyboard.press("Tab"))
        yield* step(() => page.keyboard.press("Enter"))
        yield* step(() => page.getByRole("dialog", { name: "Change the weight" }).waitFor())
        expect(yield* step(() => unnamed(page))).toEqual([])
        yield* step(() => page.keyboard.type("2.5"))
        yield* step(() => page.keyboard.press("Enter"))
        yield* step(() => row.getByRole("cell", { name: "2.5 (order 1)" }).waitFor())
        expect(warnings).toEqual([])
      })
    )
  )

  it.scopedLive("requires the admin token, and removes it from the tab at sign-out", () =>
    withPage(({ page }) =>
      Effect.gen(function* () {
        yield* step(() => signIn(page, "wrong"))
        yield* step(() => page.getByRole("alert").getByText("admin token of the gateway").waitFor())
        expect(yield* step(() => page.getByText("gpt-large").count())).toBe(0)
        yield* step(() => signIn(page))
        yield* step(() => live(page))
        expect(yield* step(() => page.evaluate(() => [document.cookie, localStorage.length]))).toEqual(["", 0])
        yield* step(() => page.reload())
        yield* step(() => live(page))
        yield* step(() => page.getByRole("button", { name: "Sign out" }).click())
        yield* step(() => page.getByLabel("Admin token").waitFor())
        expect(yield* step(() => page.evaluate(() => sessionStorage.length))).toBe(0)
      })
    )
  )

  it.scopedLive("has no buttons that act when no key is configured", () =>
    withPage(
      ({ warnings, page }) =>
        Effect.gen(function* () {
          yield* step(() => live(page))
          yield* step(() => page.getByText("No key is configured").waitFor())
          expect(yield* step(() => page.getByRole("button").allInnerTexts())).toEqual([
            "Collapse all",
            "Export CSV",
            "Export JSON"
          ])
          expect(warnings).toEqual([])
        }),
      { access: {} }
    )
  )

  it.scopedLive("shows a lost connection, and reconnects when the gateway is back", () =>
    Effect.gen(function* () {
      const built = yield* page
      const first = yield* Scope.make()
      const { url } = yield* Scope.extend(start({ page: built, grace: "1 hour" }), first)
      const { page: seen } = yield* openPage(url)
      yield* step(() => signIn(seen))
      yield* step(() => live(seen))
      // Takes an hour if it waits for readers. Disconnected, because a shutdown that hangs cannot be interrupted.
      yield* Scope.close(first, Exit.void).pipe(Effect.disconnect, Effect.timeout("1 minute"))
      yield* step(() => seen.locator("#connection[data-state=lost]").waitFor())
      yield* start({ page: built, port: Number(new URL(url).port) })
      yield* step(() => live(seen))
    })
  )
})
