/** The page of the dashboard in a real browser: Chromium, where there is one. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { accessSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { BrowserContextOptions, Page } from "playwright-core"
import { chromium } from "playwright-core"
import { SimulatedProvider } from "../../src/testing/index.js"
import { once } from "../support/once.js"
import type { Settings } from "./support/dashboard.js"
import { adminToken, builtPage, canary, start } from "./support/dashboard.js"
import { post, reading } from "./support/http.js"

const found = [process.env["CHROMIUM_PATH"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .filter((path) => path !== undefined)
  .find((path) => {
    try {
      accessSync(path)
      return true
    } catch {
      return false
    }
  })

/** Where pictures of the page are kept, to be looked at by a person: with SCREENSHOTS set, since they take long. */
const pictures = process.env["SCREENSHOTS"] && fileURLToPath(new URL("../../.screenshots/", import.meta.url))

/** How long the browser may take for one step, in milliseconds: no test is about this. */
const patience = 120_000

const launched = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      ...(found === undefined ? {} : { executablePath: found }),
      args: ["--no-sandbox"],
      timeout: patience
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)

/** One browser and one build of the page serve all tests, each of which has a context of its own. */
const browser = once(launched)
const page = once(builtPage)

/** A page, and what the browser has complained of since. */
const opened = (url: string, options: BrowserContextOptions = {}) =>
  Effect.gen(function* () {
    const context = yield* Effect.acquireRelease(
      Effect.flatMap(browser, (browser) => Effect.promise(() => browser.newContext(options))),
      (context) => Effect.promise(() => context.close())
    )
    context.setDefaultTimeout(patience)
    const page = yield* Effect.promise(() => context.newPage())
    const complaints: Array<string> = []
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
    })
    page.on("pageerror", (error) => complaints.push(String(error)))
    yield* Effect.promise(() => page.goto(url))
    return { page, complaints }
  })

const signIn = async (page: Page, token = adminToken): Promise<void> => {
  await page.getByLabel("Admin token").fill(token)
  await page.keyboard.press("Enter")
}

const live = (page: Page): Promise<void> => page.locator("#connection[data-state=live]").waitFor()

const authorization = { authorization: `Bearer ${adminToken}` }

const asked = (model: string, stream: boolean, content: string) => ({
  model,
  stream,
  max_tokens: 50,
  messages: [{ role: "user", content }]
})

const ask = (url: string, model: string, stream: boolean, content: string) =>
  post(`${url}/v1/chat/completions`, asked(model, stream, content), authorization)

const models = ["openai/gpt-large", "fast", "deepseek/deepseek-chat", "anything"]

/** Calls of every kind, of which some fail and some were asked before. */
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

interface Looking {
  readonly url: string
  readonly page: Page
  readonly complaints: ReadonlyArray<string>
  readonly provider: SimulatedProvider.Service
}

/** A gateway, and its page in a browser. */
const looking = <A>(
  use: (looking: Looking) => Effect.Effect<A, unknown, Scope.Scope>,
  settings: Omit<Settings, "page"> = {}
) =>
  Effect.gen(function* () {
    const gateway = yield* start({ page: yield* page, provider, ...settings })
    const seen = yield* opened(gateway.url, { viewport: { width: 1440, height: 1000 }, reducedMotion: "reduce" })
    return yield* use({ ...seen, url: gateway.url, provider: gateway.provider })
  })

const tile = (page: Page, name: string): Promise<string> =>
  page
    .locator(".tile", { has: page.getByText(name, { exact: true }) })
    .locator(".value")
    .innerText()

/** A model on the page. */
const modelNamed = (page: Page, id: string) => page.getByRole("article", { name: id, exact: true })

/** What a screen reader is told of everything that can be used or looked at. */
const unnamed = async (page: Page): Promise<ReadonlyArray<string>> => {
  const roles = new Set([
    "button",
    "textbox",
    "searchbox",
    "spinbutton",
    "radio",
    "link",
    "meter",
    "image",
    "img",
    "table",
    "dialog"
  ])
  const session = await page.context().newCDPSession(page)
  const { nodes } = await session.send("Accessibility.getFullAXTree")
  return nodes
    .filter(({ ignored, name, role }) => !ignored && roles.has(String(role?.value)) && !name?.value)
    .map(({ nodeId, role }) => `${String(role?.value)} ${nodeId}`)
}

const step = <A>(promise: () => Promise<A>): Effect.Effect<A> => Effect.promise(promise)

const picture = (page: Page, name: string, fullPage = false) =>
  pictures === undefined || pictures === ""
    ? Effect.void
    : step(() => page.screenshot({ path: `${pictures}${name}.png`, fullPage }))

/** Everything that follows from a change of the page's size has been drawn. */
const drawn = (page: Page) =>
  step(() =>
    page.evaluate(
      () => new Promise<void>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())))
    )
  )

const hasRequests = (page: Page, count: number) =>
  step(() =>
    page.waitForFunction((text) => document.querySelector(".tile .value")?.textContent === text, String(count))
  )

// Each page is sent its figures every second: side by side, the tests wait for them together.
describe.concurrent("dashboard page in a browser", () => {
  it.scopedLive("shows live figures without overflow or unnamed elements at each width and colour scheme", () =>
    looking(
      ({ complaints, page, provider, url }) =>
        Effect.gen(function* () {
          yield* step(() => page.getByLabel("Admin token").waitFor())
          yield* picture(page, "sign-in", true)
          yield* step(() => signIn(page))
          yield* step(() => live(page))
          expect(yield* step(() => tile(page, "Requests"))).toBe("0")
          expect(yield* step(() => tile(page, "First token p95"))).toBe("–")
          yield* picture(page, "empty", true)
          yield* load(url, 0, 40)
          yield* hasRequests(page, 40)
          yield* load(url, 40, 100)
          yield* hasRequests(page, 100)
          yield* provider.next(SimulatedProvider.hang())
          yield* reading(`${url}/v1/chat/completions`, asked("fast", false, "a new one"), authorization)
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
          for (const [name, width] of [
            ["desktop", 1440],
            ["phone", 400]
          ] as const) {
            for (const colorScheme of ["light", "dark"] as const) {
              yield* step(() => page.setViewportSize({ width, height: 1000 }))
              yield* step(() => page.emulateMedia({ colorScheme }))
              yield* drawn(page)
              yield* picture(page, `${name}-${colorScheme}`, true)
              // Nothing is wider than the page.
              expect(yield* step(() => page.evaluate(() => document.documentElement.scrollWidth))).toBe(width)
              expect(yield* step(() => unnamed(page))).toEqual([])
            }
          }
          // Laid out as cards, the tables are tables still.
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
          expect(complaints).toEqual([])
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

  it.scopedLive("changes keys and clears caches with the keyboard alone", () =>
    looking(({ complaints, page, url }) =>
      Effect.gen(function* () {
        yield* step(() => signIn(page))
        yield* step(() => live(page))
        const small = modelNamed(page, "openai/gpt-small")
        const state = small.getByRole("cell").first()
        const said = (text: RegExp) => step(() => state.getByText(text).waitFor())
        const press = (...keys: ReadonlyArray<string>) =>
          Effect.forEach(keys, (key) => step(() => page.keyboard.press(key)), { discard: true })

        yield* step(() => page.reload())
        yield* step(() => live(page))
        // From the beginning of the page to the filter, and from there to the buttons of the one key that is left.
        yield* press("Tab")
        expect(yield* step(() => page.evaluate(() => document.activeElement?.textContent))).toBe("Skip to the models")
        yield* press("Enter", "Tab")
        expect(yield* step(() => page.evaluate(() => document.activeElement?.id))).toBe("filter")
        yield* step(() => page.keyboard.type("gpt-small"))
        yield* step(() => modelNamed(page, "openai/gpt-large").waitFor({ state: "detached" }))
        yield* press("Tab")
        const focused = () => step(() => page.evaluate(() => document.activeElement?.textContent))
        expect(yield* focused()).toBe("Disable")
        const outline = yield* step(() =>
          page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle)
        )
        expect(outline).toBe("solid")
        yield* press("Enter")
        yield* said(/disabled.*by hand/)
        yield* step(() => page.locator("#announcer", { hasText: /is disabled/ }).waitFor({ state: "attached" }))
        expect(yield* focused()).toBe("Enable")
        yield* press("Enter")
        yield* said(/ready/)

        expect(yield* focused()).toBe("Disable")
        yield* press("Tab", "Enter")
        yield* step(() => page.getByRole("dialog", { name: "Let the key rest" }).waitFor())
        expect(yield* step(() => unnamed(page))).toEqual([])
        yield* picture(page, "dialog")
        yield* press("Escape")
        yield* step(() => page.getByRole("dialog").waitFor({ state: "hidden" }))
        expect(yield* focused()).toBe("Cool")
        // Opened again before the browser has told that it was closed, as quick fingers do.
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
        yield* said(/cooling.*4[45] min.*resting/)

        yield* step(() => small.getByRole("button", { name: /^Weight/ }).press("Enter"))
        yield* step(() => page.keyboard.type("2.5"))
        yield* press("Enter")
        yield* step(() => small.getByRole("cell", { name: "2.5" }).waitFor())

        yield* ask(url, "openai/gpt-large", false, "the same")
        yield* ask(url, "openai/gpt-large", false, "the same")
        yield* step(() => page.getByText("1 from the cache · 1 asked for · 1 kept").waitFor())
        yield* step(() => page.getByRole("button", { name: "Clear caches" }).press("Enter"))
        yield* press("Tab", "Enter")
        yield* step(() => page.getByText("0 from the cache · 0 asked for · 0 kept").waitFor())
        expect(complaints).toEqual([])
      })
    )
  )

  it.scopedLive("changes the deployments of a group with the keyboard alone", () =>
    looking(({ complaints, page }) =>
      Effect.gen(function* () {
        yield* step(() => signIn(page))
        yield* step(() => live(page))
        const group = modelNamed(page, "balanced")
        const row = group.getByRole("row", { name: /deepseek/ })
        const said = (text: RegExp) => step(() => row.getByRole("cell").first().getByText(text).waitFor())
        const focused = () => step(() => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? ""))
        const of = "deployment deepseek/deepseek-chat of balanced"
        yield* step(() => group.getByRole("button", { name: `Disable ${of}` }).press("Enter"))
        yield* said(/disabled/)
        yield* step(() =>
          page
            .locator("#announcer", { hasText: "Deployment deepseek/deepseek-chat of balanced is disabled." })
            .waitFor({ state: "attached" })
        )
        expect(yield* focused()).toBe(`Enable ${of}`)
        yield* picture(page, "deployments")
        yield* step(() => page.keyboard.press("Enter"))
        yield* said(/ready/)
        expect(yield* focused()).toBe(`Disable ${of}`)
        yield* step(() => page.keyboard.press("Tab"))
        yield* step(() => page.keyboard.press("Enter"))
        yield* step(() => page.getByRole("dialog", { name: "Change the weight" }).waitFor())
        expect(yield* step(() => unnamed(page))).toEqual([])
        yield* step(() => page.keyboard.type("2.5"))
        yield* step(() => page.keyboard.press("Enter"))
        yield* step(() => row.getByRole("cell", { name: "2.5 (order 1)" }).waitFor())
        expect(complaints).toEqual([])
      })
    )
  )

  it.scopedLive("requires the admin token, and removes it from the tab at sign-out", () =>
    looking(({ page }) =>
      Effect.gen(function* () {
        yield* step(() => signIn(page, "wrong"))
        yield* step(() => page.getByRole("alert").getByText("token of the gateway's administration").waitFor())
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

  it.scopedLive("has no buttons when no key is configured", () =>
    looking(
      ({ complaints, page }) =>
        Effect.gen(function* () {
          yield* step(() => live(page))
          yield* step(() => page.getByText("No key is configured").waitFor())
          expect(yield* step(() => page.getByRole("button").count())).toBe(0)
          expect(complaints).toEqual([])
        }),
      { access: {} }
    )
  )

  it.scopedLive("shows a lost connection, and reconnects when the gateway is back", () =>
    Effect.gen(function* () {
      const built = yield* page
      const first = yield* Scope.make()
      const { url } = yield* Scope.extend(start({ page: built, grace: "1 hour" }), first)
      const { page: seen } = yield* opened(url)
      yield* step(() => signIn(seen))
      yield* step(() => live(seen))
      // Takes an hour if it waits for who looks. Disconnected: what does not end cannot be interrupted either.
      yield* Scope.close(first, Exit.void).pipe(Effect.disconnect, Effect.timeout("1 minute"))
      yield* step(() => seen.locator("#connection[data-state=lost]").waitFor())
      yield* start({ page: built, port: Number(new URL(url).port) })
      yield* step(() => live(seen))
    })
  )
})
