/** A browser for tests of the dashboard page. */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { accessSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { BrowserContextOptions, Page } from "playwright-core"
import { chromium } from "playwright-core"
import { once } from "../../support/once.js"
import { adminToken, builtPage } from "./dashboard.js"

const executablePath = [
  process.env["CHROMIUM_PATH"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome"
]
  .filter((path) => path !== undefined)
  .find((path) => {
    try {
      accessSync(path)
      return true
    } catch {
      return false
    }
  })

/** The folder for screenshots, which are taken only with SCREENSHOTS set because they take long. */
const screenshots = process.env["SCREENSHOTS"] && fileURLToPath(new URL("../../../.screenshots/", import.meta.url))

/** The time limit of one step of the browser in milliseconds, generous because no test depends on it. */
const stepTimeout = 120_000

const launchBrowser = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      ...(executablePath === undefined ? {} : { executablePath }),
      args: ["--no-sandbox"],
      timeout: stepTimeout
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)

/** One browser and one build of the page for all tests of a file. Must be called at the top level of the file. */
export const browserOfFile = () => {
  const browser = once(launchBrowser)
  const page = once(builtPage)
  /** Opens a page in a context of its own, and collects the warnings and errors of the browser. */
  const openPage = (url: string, options: BrowserContextOptions = {}) =>
    Effect.gen(function* () {
      const context = yield* Effect.acquireRelease(
        Effect.flatMap(browser, (browser) => Effect.promise(() => browser.newContext(options))),
        (context) => Effect.promise(() => context.close())
      )
      context.setDefaultTimeout(stepTimeout)
      const page = yield* Effect.promise(() => context.newPage())
      const warnings: Array<string> = []
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") warnings.push(message.text())
      })
      page.on("pageerror", (error) => warnings.push(String(error)))
      yield* Effect.promise(() => page.goto(url))
      return { page, warnings }
    })
  return { openPage, page }
}

export const signIn = async (page: Page, token = adminToken): Promise<void> => {
  await page.getByLabel("Admin token").fill(token)
  await page.keyboard.press("Enter")
}

export const live = (page: Page): Promise<void> => page.locator("#connection[data-state=live]").waitFor()

/** The elements of the accessibility tree that have no name. */
export const unnamed = async (page: Page): Promise<ReadonlyArray<string>> => {
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

export const step = <A>(promise: () => Promise<A>): Effect.Effect<A> => Effect.promise(promise)

export const screenshot = (page: Page, name: string, fullPage = false) =>
  screenshots === undefined || screenshots === ""
    ? Effect.void
    : step(() => page.screenshot({ path: `${screenshots}${name}.png`, fullPage }))

/** Waits until the page is redrawn after a change of its size. */
export const redrawn = (page: Page) =>
  step(() =>
    page.evaluate(
      () => new Promise<void>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())))
    )
  )

/** The widths of a desktop and of a phone. */
export const widths = [
  ["desktop", 1440],
  ["phone", 400]
] as const

/** Takes pictures at each width and colour scheme, and checks that nothing overflows and everything has a name. */
export const looksRight = (page: Page, picture: string, fullPage = false) =>
  Effect.forEach(
    widths,
    ([name, width]) =>
      Effect.forEach(["light", "dark"] as const, (colorScheme) =>
        Effect.gen(function* () {
          yield* step(() => page.setViewportSize({ width, height: 1000 }))
          yield* step(() => page.emulateMedia({ colorScheme }))
          yield* redrawn(page)
          yield* screenshot(page, `${picture}-${name}-${colorScheme}`, fullPage)
          expect(yield* step(() => page.evaluate(() => document.documentElement.scrollWidth))).toBe(width)
          expect(yield* step(() => unnamed(page))).toEqual([])
        })
      ),
    { discard: true }
  )

/** The value of a tile. */
export const tile = (page: Page, name: string): Promise<string> =>
  page
    .locator(".tile", { has: page.getByText(name, { exact: true }) })
    .locator(".value")
    .innerText()
