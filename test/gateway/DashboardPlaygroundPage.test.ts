/** Tests of the playground in the dashboard page in Chromium, and of the code that it writes. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import type { Fields } from "../../src/gateway/dashboard/page/playgroundCode.js"
import { bodyOf, languages } from "../../src/gateway/dashboard/page/playgroundCode.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import { browserOfFile, live, looksRight, signIn, step } from "./support/browser.js"
import { adminToken, start } from "./support/dashboard.js"

const { openPage, page: builtPage } = browserOfFile()

const withPlayground = (provider: SimulatedProvider.Options) =>
  Effect.gen(function* () {
    const gateway = yield* start({ page: yield* builtPage, provider, access: { adminToken } })
    const { page, warnings } = yield* openPage(gateway.url, {
      viewport: { width: 1440, height: 1000 },
      reducedMotion: "reduce",
      permissions: ["clipboard-read", "clipboard-write"]
    })
    yield* step(() => signIn(page))
    yield* step(() => live(page))
    yield* step(() => page.getByText("Try a model").press("Enter"))
    const fact = (name: string) => page.locator("#playground-facts div", { hasText: name }).locator("dd")
    return { ...gateway, fact, page, warnings }
  })

describe.concurrent("playground in the dashboard page", () => {
  it.scopedLive("streams an answer with its tokens, cost and times, with the keyboard alone", () =>
    Effect.gen(function* () {
      const { fact, page, provider, url, warnings } = yield* withPlayground({
        answer: () => "A streamed answer with <b>no markup</b>."
      })
      yield* step(() => page.getByLabel("Model", { exact: true }).selectOption("openai/gpt-large"))
      yield* step(() => page.getByLabel("Output tokens").fill("50"))
      yield* step(() => page.getByLabel("System").fill("Be short."))
      yield* step(() => page.getByLabel("Message", { exact: true }).fill('It\'s a "question"'))
      yield* step(() => page.getByRole("button", { name: "Send" }).press("Enter"))
      yield* step(() => page.getByText("A streamed answer with <b>no markup</b>.").waitFor())
      yield* step(() => fact("Finish reason").getByText("stop").waitFor())
      expect(yield* step(() => fact("Tokens").innerText())).toMatch(/^\d+ in, \d+ out$/)
      expect(yield* step(() => fact("First token").innerText())).toMatch(/^[\d.]+ m?s$/)
      // The cost comes with the request log.
      yield* step(() => fact("Cost").getByText("$").waitFor())
      expect(yield* step(() => page.evaluate(() => document.activeElement?.textContent))).toBe("Send")
      yield* step(() => page.locator("#request-table").getByText("admin").waitFor())
      const [request] = yield* provider.log
      expect(request?.body).toMatchObject({ stream: true, messages: [{ role: "system" }, { role: "user" }] })

      const code = page.locator("#playground-code")
      expect(yield* step(() => code.innerText())).toContain(`curl -N ${url}/v1/chat/completions`)
      yield* step(() => page.getByLabel("The request as", { exact: true }).first().selectOption("TypeScript, openai"))
      yield* step(() => code.getByText("new OpenAI").waitFor())
      yield* step(() => page.locator("#playground-copy").press("Enter"))
      yield* step(() => page.getByText("The request is copied").waitFor())
      const copied = yield* step(() => page.evaluate(() => navigator.clipboard.readText()))
      expect(copied).toContain('"openai/gpt-large"')
      expect(copied).not.toContain(adminToken)
      yield* step(() => page.locator("#playground").scrollIntoViewIfNeeded())
      yield* looksRight(page, "playground")
      expect(warnings).toEqual([])
    })
  )

  it.scopedLive("stops a stream at the provider, too, and gives the key back", () =>
    Effect.gen(function* () {
      const { models, page, provider } = yield* withPlayground({
        answer: () => "word ".repeat(10_000),
        tokenPace: "10 millis"
      })
      yield* step(() => page.getByLabel("Model", { exact: true }).selectOption("fast"))
      yield* step(() => page.getByLabel("Message", { exact: true }).fill("A long one"))
      yield* step(() => page.getByRole("button", { name: "Send" }).press("Enter"))
      yield* step(() => page.locator("#playground-answer", { hasText: "word word" }).waitFor())
      yield* step(() => page.getByRole("button", { name: "Stop" }).press("Enter"))
      yield* step(() => page.getByText("Stopped: what came until then is charged.").waitFor())
      const model = yield* models.get("fast")
      yield* eventually(Effect.map(model.status, ({ keys }) => keys.keys.every(({ inFlight }) => inFlight === 0)))
      yield* eventually(Effect.map(provider.log, (log) => log.some(({ outcome }) => outcome === "aborted")))
    })
  )

  it.scopedLive("shows the class and the message of an error, and reads a whole answer and its reasoning", () =>
    Effect.gen(function* () {
      const { fact, page, provider } = yield* withPlayground({ answer: () => "whole" })
      yield* provider.next(SimulatedProvider.status(400, { message: "the <i>request</i> is wrong" }))
      yield* step(() => page.getByLabel("Model", { exact: true }).selectOption("openai/gpt-small"))
      yield* step(() => page.getByLabel("Stream").uncheck())
      yield* step(() => page.getByLabel("Message", { exact: true }).fill("question"))
      yield* step(() => page.getByRole("button", { name: "Send" }).press("Enter"))
      yield* step(() =>
        page
          .getByRole("alert")
          .getByText(/400: .*the <i>request<\/i> is wrong/)
          .waitFor()
      )
      yield* step(() => page.getByRole("button", { name: "Send" }).press("Enter"))
      yield* step(() => page.locator("#playground-answer", { hasText: "whole" }).waitFor())
      expect(yield* step(() => page.locator("#playground-problem").innerText())).toBe("")
      // The model has no price.
      yield* step(() => fact("Cost").getByText("unknown").waitFor())
      expect(yield* step(() => fact("First token").innerText())).toBe("–")
    })
  )
})

describe("code of the playground", () => {
  const fields: Fields = {
    model: "openai/gpt-large",
    system: "",
    message: `It's "quoted" $HOME \`pwd\`\nand two lines`,
    temperature: "0.5",
    maxTokens: "",
    effort: "low",
    stream: false,
    json: true
  }

  it("writes a curl command whose arguments a shell reads as they are meant", () => {
    const command = languages["curl"]?.("http://127.0.0.1:8080/v1", fields) ?? ""
    const shown = execFileSync("sh", ["-c", `curl() { for a in "$@"; do printf '%s\\0' "$a"; done; }\n${command}`], {
      env: { ...process.env, GATEWAY_KEY: "sk-one" }
    })
      .toString()
      .split("\0")
    expect(shown[0]).toBe("http://127.0.0.1:8080/v1/chat/completions")
    expect(shown).toContain("authorization: Bearer sk-one")
    expect(JSON.parse(shown[shown.indexOf("-d") + 1] ?? "")).toEqual(bodyOf(fields))
  })

  it("leaves out what the form leaves to the model", () => {
    const empty = { ...fields, temperature: "", effort: "", json: false }
    expect(bodyOf(empty)).toEqual({ model: fields.model, messages: [{ role: "user", content: fields.message }] })
    for (const code of Object.values(languages)) {
      expect(code("http://127.0.0.1:8080/v1", empty)).not.toMatch(/temperature|effort|format/i)
    }
  })
})
