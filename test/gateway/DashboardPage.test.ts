/** The page of the dashboard in a real browser: Chromium, where there is one. */
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Scope } from "effect"
import { accessSync, mkdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { BrowserContextOptions, Page } from "playwright-core"
import { chromium } from "playwright-core"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { Settings } from "./support/dashboard.js"
import { adminToken, builtPage, canary, start } from "./support/dashboard.js"

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

/** Kept to be looked at. */
const pictures = fileURLToPath(new URL("../../.screenshots/", import.meta.url))

const launched = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({ ...(found === undefined ? {} : { executablePath: found }), args: ["--no-sandbox"] })
  ),
  (browser) => Effect.promise(() => browser.close())
)

/** One browser and one build of the page serve all tests, each of which has a context of its own. */
const shared = Effect.runSync(Scope.make())
const browser = Effect.runSync(Effect.cached(Scope.extend(launched, shared)))
const page = Effect.runSync(Effect.cached(Scope.extend(builtPage, shared)))

afterAll(() => Effect.runPromise(Scope.close(shared, Exit.void)))

/** A page, and what the browser has complained of since. */
const opened = (url: string, options: BrowserContextOptions = {}) =>
  Effect.gen(function* () {
    const context = yield* Effect.acquireRelease(
      Effect.flatMap(browser, (browser) => Effect.promise(() => browser.newContext(options))),
      (context) => Effect.promise(() => context.close())
    )
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

const ask = (url: string, model: string, stream: boolean, content: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
      body: JSON.stringify({ model, stream, max_tokens: 50, messages: [{ role: "user", content }] })
    })
    await response.text()
  })

const models = ["openai/gpt-large", "fast", "deepseek/deepseek-chat", "anything"]

/** Calls of every kind, of which some fail and some were asked before. */
const load = (url: string, howMany: number) =>
  Effect.forEach(
    Array.from({ length: howMany }, (_, index) => index),
    (index) => ask(url, models[index % models.length] ?? "fast", index % 3 > 0, `question ${index % 30} of many words`),
    { concurrency: 8, discard: true }
  )

const provider: SimulatedProvider.Options = {
  latency: { min: "20 millis", max: "160 millis" },
  tokenPace: { min: "1 millis", max: "12 millis" },
  answer: () => "An answer of a few words, which takes its time to come.",
  faults: (index) =>
    index === 20
      ? SimulatedProvider.status(429, { retryAfter: "90 seconds" })
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

describe("the page of the dashboard", () => {
  it.scopedLive(
    "shows what happens while it happens, and looks as it should",
    () =>
      looking(
        ({ complaints, page, url }) =>
          Effect.gen(function* () {
            mkdirSync(pictures, { recursive: true })
            const picture = (name: string) =>
              step(() => page.screenshot({ path: `${pictures}${name}.png`, fullPage: true }))
            yield* step(() => page.getByLabel("Admin token").waitFor())
            yield* picture("sign-in")
            yield* step(() => signIn(page))
            yield* step(() => live(page))
            expect(yield* step(() => tile(page, "Requests"))).toBe("0")
            expect(yield* step(() => tile(page, "First token p95"))).toBe("–")
            yield* picture("empty")
            const calls = yield* Effect.fork(load(url, 130))
            yield* step(() =>
              page.waitForFunction(() => Number(document.querySelector(".tile .value")?.textContent) > 5)
            )
            const early = Number(yield* step(() => tile(page, "Requests")))
            yield* Fiber.join(calls)
            yield* step(() => page.waitForFunction(() => document.querySelector(".tile .value")?.textContent === "130"))
            expect(early).toBeLessThan(130)
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
            yield* Effect.fork(load(url, 400))
            yield* Effect.sleep("1 second")
            for (const [name, width] of [
              ["desktop", 1440],
              ["phone", 400]
            ] as const) {
              for (const colorScheme of ["light", "dark"] as const) {
                yield* step(() => page.setViewportSize({ width, height: 1000 }))
                yield* step(() => page.emulateMedia({ colorScheme }))
                yield* Effect.sleep("300 millis")
                yield* picture(`${name}-${colorScheme}`)
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
      ),
    60_000
  )

  it.scopedLive(
    "acts on keys and caches, by the keyboard alone",
    () =>
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
          yield* step(() => page.screenshot({ path: `${pictures}dialog.png` }))
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
          yield* step(() => page.keyboard.type("45"))
          yield* press("Enter")
          yield* said(/cooling.*4[0-5] s.*resting/)

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
      ),
    60_000
  )

  it.scopedLive(
    "acts on the deployments of a group, by the keyboard alone",
    () =>
      looking(({ complaints, page }) =>
        Effect.gen(function* () {
          yield* step(() => signIn(page))
          yield* step(() => live(page))
          const group = modelNamed(page, "balanced")
          const row = group.getByRole("row", { name: /deepseek/ })
          const said = (text: RegExp) => step(() => row.getByRole("cell").first().getByText(text).waitFor())
          const focused = () =>
            step(() => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? ""))
          const of = "deployment deepseek/deepseek-chat of balanced"
          yield* step(() => group.getByRole("button", { name: `Disable ${of}` }).press("Enter"))
          yield* said(/disabled/)
          yield* step(() =>
            page
              .locator("#announcer", { hasText: "Deployment deepseek/deepseek-chat of balanced is disabled." })
              .waitFor({ state: "attached" })
          )
          expect(yield* focused()).toBe(`Enable ${of}`)
          yield* step(() => page.screenshot({ path: `${pictures}deployments.png` }))
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
      ),
    60_000
  )

  it.scopedLive(
    "lets nobody look without the token, and forgets it",
    () =>
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
      ),
    60_000
  )

  it.scopedLive(
    "is for looking only where no key is configured",
    () =>
      looking(
        ({ complaints, page }) =>
          Effect.gen(function* () {
            yield* step(() => live(page))
            yield* step(() => page.getByText("No key is configured").waitFor())
            expect(yield* step(() => page.getByRole("button").count())).toBe(0)
            expect(complaints).toEqual([])
          }),
        { access: {} }
      ),
    60_000
  )

  it.scopedLive(
    "says when the gateway has gone, and comes back with it",
    () =>
      Effect.gen(function* () {
        const built = yield* page
        const first = yield* Scope.make()
        const { url } = yield* Scope.extend(start({ page: built }), first)
        const { page: seen } = yield* opened(url)
        yield* step(() => signIn(seen))
        yield* step(() => live(seen))
        // Nobody waits for those who only look.
        const [took] = yield* Effect.timed(Scope.close(first, Exit.void))
        expect(Duration.toMillis(took)).toBeLessThan(2000)
        yield* step(() => seen.locator("#connection[data-state=lost]").waitFor())
        yield* start({ page: built, port: Number(new URL(url).port) })
        yield* step(() => live(seen))
      }),
    60_000
  )
})
