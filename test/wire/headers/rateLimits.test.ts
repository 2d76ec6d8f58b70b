import { describe, expect, it } from "@effect/vitest"
import { Duration } from "effect"
import * as fc from "fast-check"
import type { RateLimits } from "../../../src/wire/headers/rateLimits.js"
import { rateLimits } from "../../../src/wire/headers/rateLimits.js"

const now = Date.parse("2026-03-01T12:00:00Z")

/** The limits with durations in milliseconds. */
const read = (headers: Record<string, string>) => {
  const limits = rateLimits(headers, now)
  return (
    limits &&
    Object.fromEntries(
      Object.entries(limits).map(([name, value]) => [
        name,
        Duration.isDuration(value) ? Duration.toMillis(value) : value
      ])
    )
  )
}

describe("rateLimits: providers", () => {
  it("reads request and token limits of OpenAI, Azure and Groq", () => {
    expect(
      read({
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-tokens": "2m59.56s"
      })
    ).toEqual({
      limitRequests: 500,
      remainingRequests: 499,
      resetRequests: 120,
      limitTokens: 30_000,
      remainingTokens: 29_000,
      resetTokens: 179_560
    })
  })

  it("reads Azure's remaining counts without limits", () => {
    expect(read({ "x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "9000" })).toEqual({
      remainingRequests: 9,
      remainingTokens: 9000
    })
  })

  it("reads Anthropic's limits with ISO 8601 resets", () => {
    expect(
      read({
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:30Z",
        "anthropic-ratelimit-tokens-limit": "1000",
        "anthropic-ratelimit-tokens-remaining": "900",
        "anthropic-ratelimit-tokens-reset": "2026-03-01T12:00:01Z"
      })
    ).toEqual({
      limitRequests: 50,
      remainingRequests: 0,
      resetRequests: 30_000,
      limitTokens: 1000,
      remainingTokens: 900,
      resetTokens: 1000
    })
  })

  it("takes the token limit of Anthropic with the smallest remaining share", () => {
    expect(
      read({
        "anthropic-ratelimit-input-tokens-limit": "1000",
        "anthropic-ratelimit-input-tokens-remaining": "800",
        "anthropic-ratelimit-output-tokens-limit": "200",
        "anthropic-ratelimit-output-tokens-remaining": "10",
        "anthropic-ratelimit-output-tokens-reset": "2026-03-01T12:00:05Z"
      })
    ).toEqual({ limitTokens: 200, remainingTokens: 10, resetTokens: 5000 })
  })

  it("reads the reset of OpenRouter in epoch milliseconds and of GitHub in epoch seconds", () => {
    const millis = { "x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(now + 4000) }
    expect(read(millis)).toEqual({ limitRequests: 20, remainingRequests: 0, resetRequests: 4000 })
    expect(read({ ...millis, "x-ratelimit-reset": String(now / 1000 + 9) })).toMatchObject({ resetRequests: 9000 })
  })

  it("reads the limits of Cerebras per day and per minute", () => {
    expect(
      read({
        "x-ratelimit-limit-requests-day": "1000",
        "x-ratelimit-remaining-requests-day": "999",
        "x-ratelimit-reset-requests-day": "33011.38",
        "x-ratelimit-limit-tokens-minute": "60000",
        "x-ratelimit-remaining-tokens-minute": "59000",
        "x-ratelimit-reset-tokens-minute": "11.5"
      })
    ).toEqual({
      limitRequests: 1000,
      remainingRequests: 999,
      resetRequests: 33_011_380,
      limitTokens: 60_000,
      remainingTokens: 59_000,
      resetTokens: 11_500
    })
  })

  it("reads the IETF draft headers with a policy after the limit", () => {
    expect(read({ "ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "3", "ratelimit-reset": "12" })).toEqual({
      limitRequests: 100,
      remainingRequests: 3,
      resetRequests: 12_000
    })
  })
})

describe("rateLimits: structured fields", () => {
  it("reads RateLimit and RateLimit-Policy", () => {
    expect(read({ ratelimit: '"calls";r=12;t=45', "ratelimit-policy": '"fixed window";"calls";q=70;w=300' })).toEqual({
      limitRequests: 70,
      remainingRequests: 12,
      resetRequests: 45_000
    })
  })

  it("reads the RateLimit header of older drafts", () => {
    expect(read({ ratelimit: "limit=80, remaining=9, reset=33" })).toEqual({
      limitRequests: 80,
      remainingRequests: 9,
      resetRequests: 33_000
    })
  })

  it("reads nothing from invalid RateLimit headers", () => {
    expect(read({ ratelimit: "soon", "ratelimit-policy": "many" })).toBeUndefined()
  })
})

describe("rateLimits: resets", () => {
  it.each<readonly [string, number | undefined]>([
    ["6ms", 6],
    ["1s", 1000],
    ["1m30s", 90_000],
    ["1h2m3s", 3_723_000],
    ["870µs", 0.87],
    ["0", 0],
    ["0s", 0],
    ["1.5", 1500],
    ["2026-03-01T12:00:10Z", 10_000],
    ["2026-03-01T13:00:10+01:00", 10_000],
    ["2020-01-01T00:00:00Z", 0],
    ["-4", 0],
    ["soon", undefined],
    ["", undefined]
  ])("reads the reset %j as %s ms", (reset, millis) => {
    expect(read({ "x-ratelimit-remaining": "1", "x-ratelimit-reset": reset })).toEqual({
      remainingRequests: 1,
      ...(millis === undefined ? {} : { resetRequests: millis })
    })
  })
})

describe("rateLimits: absent and invalid headers", () => {
  it("returns undefined without valid rate limit headers", () => {
    expect(rateLimits({}, now)).toBeUndefined()
    expect(rateLimits({ "content-type": "application/json", "x-request-id": "1" }, now)).toBeUndefined()
    expect(rateLimits({ "x-ratelimit-limit-requests": "many" }, now)).toBeUndefined()
  })

  it("ignores retry-after", () => {
    expect(rateLimits({ "retry-after": "30", "retry-after-ms": "30000" }, now)).toBeUndefined()
  })

  it("reads only finite, non-negative numbers from any header value", () => {
    const names = fc.constantFrom(
      "x-ratelimit-limit-requests",
      "x-ratelimit-remaining-tokens",
      "x-ratelimit-reset",
      "x-ratelimit-reset-tokens",
      "anthropic-ratelimit-tokens-reset"
    )
    const values = fc.oneof(fc.string(), fc.double().map(String), fc.date({ noInvalidDate: true }).map(String))
    fc.assert(
      fc.property(fc.dictionary(names, values), fc.double({ min: 0, max: 4e12, noNaN: true }), (headers, at) => {
        const limits: RateLimits = rateLimits(headers, at) ?? {}
        for (const value of Object.values(limits)) {
          const number = Duration.isDuration(value) ? Duration.toMillis(value) : value
          expect(Number.isFinite(number)).toBe(true)
          expect(number).toBeGreaterThanOrEqual(0)
        }
      })
    )
  })
})
