/** The page of the dashboard in a real browser: Chromium, where there is one. */
import { describe, expect, it } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect } from "effect"
import { accessSync, mkdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { BrowserContextOptions, Page } from "playwright-core"
import { chromium } from "playwright-core"
import { SimulatedProvider } from "../../src/testing/index.js"
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

const isRequired = process.env["REQUIRE_BROWSER"] === "1"

if (found === undefined && !isRequired) {
  console.warn(
    "The page of the dashboard is not tested: there is no Chromium here. Install it, or say where with CHROMIUM_PATH."
  )
}

/** Kept to be looked at. */
const pictures = fileURLToPath(new URL("../../.screenshots/", import.meta.url))

const browser = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({ ...(found === undefined ? {} : { executablePath: found }), args: ["--no-sandbox"] })
  ),
  (browser) => Effect.promise(() => browser.close())
)

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

const signIn = async (page: Page): Promise<void> => {
  await page.getByLabel("Admin token").fill(adminToken)
  await page.getByRole("button", { name: "Sign in" }).click()
  await page.getByText("Live", { exact: true }).waitFor()
}

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

/** Calls of every kind; one in seven fails, and some were asked before. */
const load = (url: string, howMany: number) =>
  Effect.forEach(
    Array.from({ length: howMany }, (_, index) => index),
    (index) => ask(url, models[index % models.length] ?? "fast", index % 3 > 0, `question ${index % 40} of many words`),
    { concurrency: 12, discard: true }
  )

const provider: SimulatedProvider.Options = {
  latency: { min: "20 millis", max: "160 millis" },
  tokenPace: { min: "1 millis", max: "12 millis" },
  answer: () => "An answer of a few words, which takes its time to come.",
  faults: (index) =>
    index % 19 === 7
      ? SimulatedProvider.status(429, { retryAfter: "20 seconds" })
      : index % 13 === 5
        ? SimulatedProvider.status(503)
        : index % 17 === 9
          ? SimulatedProvider.status(400, { message: "no" })
          : undefined
}

const withGateway = <A>(use: (gateway: { readonly url: string }) => Effect.Effect<A, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    const page = yield* builtPage
    return yield* use(yield* start({ page, provider }))
  })

describe.skipIf(found === undefined && !isRequired)("the page of the dashboard", () => {
  it.scopedLive(
    "shows what happens while it happens, acts, and looks as it should",
    () =>
      withGateway(({ url }) =>
        Effect.gen(function* () {
          mkdirSync(pictures, { recursive: true })
          const { complaints, page } = yield* opened(url, {
            viewport: { width: 1440, height: 1000 },
            colorScheme: "light"
          })
          yield* Effect.promise(() => page.screenshot({ path: `${pictures}sign-in.png` }))
          yield* Effect.promise(() => signIn(page))
          yield* Effect.promise(() => page.screenshot({ path: `${pictures}empty.png`, fullPage: true }))
          yield* Effect.fork(load(url, 400))
          yield* Effect.sleep("12 seconds")
          for (const [name, width] of [
            ["desktop", 1440],
            ["phone", 400]
          ] as const) {
            for (const colorScheme of ["light", "dark"] as const) {
              yield* Effect.promise(() => page.setViewportSize({ width, height: 1000 }))
              yield* Effect.promise(() => page.emulateMedia({ colorScheme }))
              yield* Effect.sleep("1200 millis")
              yield* Effect.promise(() =>
                page.screenshot({ path: `${pictures}${name}-${colorScheme}.png`, fullPage: true })
              )
            }
          }
          expect(complaints).toEqual([])
          expect(yield* Effect.promise(() => page.content())).not.toContain(canary)
        })
      ),
    60_000
  )
})
