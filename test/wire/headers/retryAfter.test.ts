import { describe, expect, it } from "@effect/vitest"
import { Duration } from "effect"
import * as fc from "fast-check"
import type { ErrorAnswer } from "../../../src/wire/error/classify.js"
import { retryAfter } from "../../../src/wire/error/classify.js"

const now = Date.parse("2026-03-01T12:00:00Z")

const waitOf = (answer: ErrorAnswer): number | undefined => {
  const wait = retryAfter(answer, now)
  return wait && Duration.toMillis(wait)
}

const headers = (value: Record<string, string>, status = 429): number | undefined =>
  waitOf({ status, headers: value, body: "" })

const body = (value: unknown): number | undefined => waitOf({ status: 429, headers: {}, body: value })

const messageWait = (message: string): number | undefined => body({ error: { message } })

describe("retryAfter: headers", () => {
  it.each<readonly [string, number | undefined]>([
    ["0", 0],
    ["20", 20_000],
    ["0.5", 500],
    [" 3 ", 3000],
    ["-5", undefined],
    ["1m30s", 90_000],
    ["Sun, 01 Mar 2026 12:00:45 GMT", 45_000],
    ["Sunday, 01-Mar-26 12:00:45 GMT", 45_000],
    ["Sun Mar  1 12:00:45 2026", 45_000],
    ["Sun, 01 Mar 2020 12:00:45 GMT", 0],
    ["2026-03-01T12:00:45Z", 45_000],
    [String(now / 1000 + 8), 8000],
    ["later", undefined],
    ["", undefined]
  ])("reads retry-after %j as %s ms", (value, millis) => {
    expect(headers({ "retry-after": value })).toBe(millis)
  })

  it("prefers retry-after-ms to retry-after unless it is invalid", () => {
    expect(headers({ "retry-after-ms": "250", "retry-after": "1" })).toBe(250)
    expect(headers({ "retry-after-ms": "0", "retry-after": "1" })).toBe(0)
    expect(headers({ "x-ms-retry-after-ms": "12.5" })).toBe(12.5)
    expect(headers({ "retry-after-ms": "nonsense", "retry-after": "1" })).toBe(1000)
    expect(headers({ "retry-after-ms": "-1", "retry-after": "1" })).toBe(1000)
  })

  it.each(["1e9", "Infinity", "NaN", "0x10", "5;", "5, 5", "--5", "٣"])(
    "ignores the invalid retry-after %j",
    (value) => {
      expect(headers({ "retry-after": value })).toBeUndefined()
    }
  )

  it("reads the reset of an exhausted IETF RateLimit header", () => {
    expect(headers({ ratelimit: '"calls";r=0;t=40', "ratelimit-policy": '"calls";q=90;w=60' })).toBe(40_000)
    expect(headers({ ratelimit: '"calls";r=5;t=40' })).toBeUndefined()
  })

  it("keeps a wait of a day and limits longer ones to a year", () => {
    expect(headers({ "retry-after": "86400" })).toBe(86_400_000)
    expect(headers({ "retry-after": "900000000" })).toBe(366 * 86_400_000)
  })

  it("ignores the headers of a success status but not the body", () => {
    expect(headers({ "retry-after": "30", "retry-after-ms": "30000" }, 200)).toBeUndefined()
    const reset = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30" }
    expect(waitOf({ status: 200, headers: reset, body: { error: "no" }, inBand: true })).toBeUndefined()
    expect(
      waitOf({ status: 200, headers: { "retry-after": "30" }, body: { error: { code: 429, retry_after: 4 } } })
    ).toBe(4000)
  })
})

describe("retryAfter: rate limit resets", () => {
  it("takes the reset of the limit that is exhausted", () => {
    expect(
      headers({
        "x-ratelimit-remaining-requests": "5",
        "x-ratelimit-reset-requests": "1h",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6s"
      })
    ).toBe(6000)
  })

  it("takes the latest reset of several exhausted limits", () => {
    const both = {
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "2s",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "1s"
    }
    expect(headers(both)).toBe(2000)
  })

  it("takes the token reset of a 429 that has some tokens left", () => {
    const some = { "x-ratelimit-remaining-tokens": "10", "x-ratelimit-reset-tokens": "3s" }
    expect(headers(some)).toBe(3000)
    expect(headers(some, 503)).toBeUndefined()
  })

  it("takes a reset under other statuses only when nothing remains", () => {
    expect(headers({ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "3" }, 503)).toBe(3000)
    expect(headers({ "x-ratelimit-remaining": "1", "x-ratelimit-reset": "3" }, 503)).toBeUndefined()
    expect(headers({ "x-ratelimit-reset": "3" })).toBe(3000)
  })

  it("prefers retry-after and the message to a rate limit reset", () => {
    const reset = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "60" }
    expect(headers({ ...reset, "retry-after": "5" })).toBe(5000)
    expect(waitOf({ status: 429, headers: reset, body: "Please try again in 2s" })).toBe(2000)
  })
})

describe("retryAfter: body fields", () => {
  it.each<readonly [string, unknown, number | undefined]>([
    [
      "RetryInfo",
      { error: { details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "12.7s" }] } },
      12_700
    ],
    ["RetryInfo in a list", [{ error: { details: [{ retryDelay: "7s" }] } }], 7000],
    ["RetryInfo as an object", { error: { details: [{ retryDelay: { seconds: 7 } }] } }, 7000],
    ["quotaResetDelay", { error: { details: [{ metadata: { quotaResetDelay: "1h2m3.5s" } }] } }, 3_723_500],
    ["retry_after", { retry_after: 2.5 }, 2500],
    ["retry_after in the error", { error: { retry_after: "9" } }, 9000],
    ["retry_after_ms", { error: { retry_after_ms: 90, retry_after: 1 } }, 90],
    ["resets_in_seconds", { error: { resets_in_seconds: 600, resets_at: now / 1000 + 5 } }, 600_000],
    ["resets_at", { error: { resets_at: now / 1000 + 5 } }, 5000],
    ["resets_at as a date", { error: { resets_at: "2026-03-01T12:01:00Z" } }, 60_000],
    ["estimated_time", { error: "Model is loading", estimated_time: 20.5 }, 20_500],
    [
      "upstream headers",
      {
        error: {
          code: 429,
          metadata: { headers: { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": String(now + 700) } }
        }
      },
      700
    ],
    ["upstream Retry-After", { error: { metadata: { headers: { "Retry-After": "17" } } } }, 17_000],
    ["retry_after_seconds", { error: { metadata: { retry_after_seconds: 17 } } }, 17_000],
    ["a negative value", { error: { retry_after: -5 } }, undefined],
    ["a negative value next to a valid one", { error: { retry_after: -5, retry_after_ms: 700 } }, 700],
    [
      "a protobuf Duration with nanos",
      { error: { details: [{ retryDelay: { seconds: 7, nanos: 250_000_000 } }] } },
      7250
    ],
    ["a time in the past", { error: { resets_at: now / 1000 - 5 } }, 0],
    ["null", { error: { retry_after: null } }, undefined],
    ["an invalid value", { error: { retry_after: "soon" } }, undefined]
  ])("reads the wait from the body: %s", (_, value, millis) => {
    expect(body(value)).toBe(millis)
  })

  it("prefers the retry-after header to body fields", () => {
    expect(waitOf({ status: 429, headers: { "retry-after": "3" }, body: { error: { retry_after: 60 } } })).toBe(3000)
  })
})

describe("retryAfter: messages", () => {
  it.each<readonly [string, number | undefined]>([
    ["Please try again in 412ms, then go on.", 412],
    ["Please try again in 20s. Visit us.", 20_000],
    ["Please try again in 1m12.5s.", 72_500],
    ["Please try again in 97h5m0s.", 349_500_000],
    ["try again in 1h2m", 3_720_000],
    ["Your quota will reset after 2m 13s.", 133_000],
    ["Please retry after 26 seconds.", 26_000],
    ["Please retry in 18.25s.", 18_250],
    ["Please wait 4200 seconds before you go on.", 4_200_000],
    ["Please wait for about 2 minutes and 5 seconds", 125_000],
    ["Limit resets in 3 days", 259_200_000],
    ["Retry-After: 30 seconds", 30_000],
    ["You will regain access on 2026-03-02 at 00:00 UTC.", 43_200_000],
    ["Resets at 2026-03-01T12:00:09Z", 9000],
    ["Your limit will reset at 2026-03-01 12:30:00", 1_800_000],
    ["Quota will be replenished in 02:25:04", 8_704_000],
    ["Quota will be replenished in 1.00:00:10", 86_410_000],
    ["您的限额将在 2026-03-01 20:00:05 重置。", 5000],
    ["请在 30 秒后重试", 30_000],
    ["5 分钟后再试", 300_000],
    ["If you created it within the last 5 minutes, please wait a moment and try again.", undefined],
    ["Only 3 requests per minute are allowed. Retry shortly.", undefined],
    ["retry 3 times", undefined],
    ["Another try may help later.", undefined]
  ])("reads the wait from the message '%s'", (message, millis) => {
    expect(messageWait(message)).toBe(millis)
  })

  it("reads the reset time of Zhipu as Chinese time in every language", () => {
    const limit = { code: "1308", message: "Usage limit reached. Your limit will reset at 2026-03-01 20:00:05" }
    expect(body({ error: limit })).toBe(5000)
  })

  it("prefers body fields to the message", () => {
    expect(body({ error: { message: "try again in 9s", retry_after: 2 } })).toBe(2000)
  })
})

describe("retryAfter laws", () => {
  it("returns a finite, non-negative wait for any value", () => {
    const value = fc.oneof(
      fc.double().map(String),
      fc.string(),
      fc.integer({ min: -1e9, max: 2e12 }).map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString())
    )
    fc.assert(
      fc.property(value, fc.double({ min: 0, max: 4e12, noNaN: true }), (written, at) => {
        for (const answer of [
          { status: 429, headers: { "retry-after": written }, body: "" },
          { status: 429, headers: { "retry-after-ms": written }, body: "" },
          { status: 429, headers: {}, body: { error: { retry_after: written, message: `try again in ${written}` } } }
        ]) {
          const wait = retryAfter(answer, at)
          if (wait !== undefined) {
            expect(Duration.toMillis(wait)).toBeGreaterThanOrEqual(0)
            expect(Number.isFinite(Duration.toMillis(wait))).toBe(true)
          }
        }
      })
    )
  })

  it("returns the time until the written date in every date format", () => {
    const ahead = fc.integer({ min: 0, max: 300 * 86_400 })
    fc.assert(
      fc.property(ahead, (seconds) => {
        const moment = new Date(now + seconds * 1000)
        expect(headers({ "retry-after": moment.toUTCString() })).toBe(seconds * 1000)
        expect(headers({ "retry-after": String(moment.getTime() / 1000) })).toBe(seconds * 1000)
        expect(headers({ "retry-after": moment.toISOString() })).toBe(seconds * 1000)
        expect(messageWait(`resets at ${moment.toISOString()}`)).toBe(seconds * 1000)
      })
    )
  })
})
