import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { join } from "../../src/routing/fallback/overlap.js"

/** The text after a continuation that arrives in chunks, as in a stream; undefined if the answer was restarted. */
const continuedWith = (text: string, chunks: ReadonlyArray<string>): string | undefined => {
  let continuation = ""
  for (const [index, chunk] of chunks.entries()) {
    continuation += chunk
    const joined = join(text, continuation, false)
    if (joined._tag === "Restarted") return undefined
    if (joined._tag === "New") return text + joined.text + chunks.slice(index + 1).join("")
  }
  const joined = join(text, continuation, true)
  return joined._tag === "New" ? text + joined.text : undefined
}

const letters = (text: string) => Array.from(text)

describe("Overlap.join", () => {
  it.each([
    ["at the next character", "The capi", "tal is Paris.", "The capital is Paris."],
    ["at the next word", "The capital", " is Paris.", "The capital is Paris."],
    ["that repeats the last word", "The capital is", "is Paris.", "The capital is Paris."],
    ["that repeats half a word as a whole", "The capi", "capital is Paris.", "The capital is Paris."],
    ["that repeats the last line", "First.\n- one\n- two", "- two\n- three", "First.\n- one\n- two\n- three"],
    ["that repeats the whole text", "The capital is", "The capital is Paris.", "The capital is Paris."],
    ["that repeats Chinese words", "法国的首都是", "首都是巴黎。", "法国的首都是巴黎。"],
    ["that repeats white space", "Hello ", " world", "Hello world"],
    ["at a letter equal to the last one", "hel", "lo", "hello"],
    ["at a digit equal to the last one", "1000", "0 metres", "10000 metres"],
    ["at a brace equal to the last one", "a {\n  }\n", "  }\n}", "a {\n  }\n  }\n}"],
    ["to an empty text", "", "Hello", "Hello"],
    ["that is empty", "Done.", "", "Done."]
  ])("joins a continuation %s", (_, partial, continuation, whole) => {
    expect(continuedWith(partial, [continuation])).toBe(whole)
    expect(continuedWith(partial, letters(continuation))).toBe(whole)
  })

  it("does not join a continuation that restarts the answer and then differs", () => {
    const partial = "The capital of France, as everyone knows, is"
    expect(continuedWith(partial, letters("The capital of France, as everyone should know, is"))).toBeUndefined()
    expect(continuedWith(partial, letters("The capital of"))).toBeUndefined()
  })
})

describe("Overlap.join laws", () => {
  const text = fc.stringMatching(/^[a-z]{3,8}( [a-z]{3,8}){2,12}$/)

  it.prop(
    "gives no text twice when a continuation repeats from any word on",
    [text, fc.nat(), fc.nat()],
    ([whole, a, b]) => {
      const cut = 1 + (a % (whole.length - 1))
      const partial = whole.slice(0, cut)
      const starts = [0, ...[...partial.matchAll(/ /g)].map((match) => match.index + 1)].filter((at) => cut - at >= 3)
      const from = starts[b % Math.max(1, starts.length)] ?? 0
      const joined = continuedWith(partial, letters(whole.slice(from)))
      // A shorter repetition inside a longer one can be removed instead, but the result is never longer than the whole.
      expect(whole.startsWith(joined ?? "")).toBe(true)
    }
  )

  it.prop(
    "gives the same result however a continuation is split into chunks",
    [fc.string(), fc.string(), fc.nat()],
    ([partial, continuation, at]) => {
      const cut = continuation.length === 0 ? 0 : at % continuation.length
      expect(continuedWith(partial, [continuation.slice(0, cut), continuation.slice(cut)])).toBe(
        continuedWith(partial, [continuation])
      )
    }
  )
})
