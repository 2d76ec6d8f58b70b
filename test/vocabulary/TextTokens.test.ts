/** The estimate of tokens reads a text in windows and skips runs of small letters: here it is compared with its rules, unit by unit. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { estimate, growing } from "../../src/vocabulary/textTokens.js"

const kinds = [
  { kind: "letter", pattern: /^[a-z]$/i, cost: (size: number) => (size <= 7 ? 1 : 1 + (size - 7) / 5) },
  { kind: "digit", pattern: /^[0-9]$/, cost: (size: number) => Math.ceil(size / 3) },
  { kind: "space", pattern: /^[\t-\r ]$/, cost: (size: number) => (size <= 1 ? 0 : 0.9 + size / 64) },
  // Every other ASCII character.
  { kind: "sign", pattern: /^[\0-\x7f]$/, cost: (size: number) => 0.8 + (size - 1) / 2.2 }
] as const

const kindOf = (unit: string) => kinds.find(({ pattern }) => pattern.test(unit))

const isUpper = (unit: string): boolean => /^[A-Z]$/.test(unit)

/** What a unit adds to the size of its run. */
const growthOf = (unit: string, previous: string, repeats: number): number => {
  switch (kindOf(unit)?.kind) {
    case "letter":
      return isUpper(unit) && isUpper(previous) ? 1.7 : 1
    case "sign":
      return repeats < 3 ? 1 : 0.08
    case "space":
      return unit === "\n" ? 2 : 1
    default:
      return 1
  }
}

/** The rules for text in ASCII and Chinese. */
const reference = (text: string): number => {
  let tokens = 0
  let run: { readonly rule: (typeof kinds)[number] | undefined; readonly size: number } = { rule: undefined, size: 0 }
  let previous = ""
  let repeats = 0
  for (const unit of text) {
    const rule = kindOf(unit)
    repeats = unit === previous ? repeats + 1 : 0
    if (rule !== run.rule || (rule?.kind === "letter" && isUpper(unit) && !isUpper(previous))) {
      tokens += run.rule?.cost(run.size) ?? 0
      run = { rule, size: 0 }
    }
    if (rule === undefined) tokens += 0.85
    else run = { rule, size: run.size + growthOf(unit, previous, repeats) }
    previous = unit
  }
  return Math.ceil(tokens + (run.rule?.cost(run.size) ?? 0))
}

const pieces = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.stringMatching(/^[a-z]{1,14}$/) },
  { weight: 4, arbitrary: FastCheck.constantFrom(" ", "  ", "\n", "\t", ". ", ", ", "_", "-----", "==", "'s ") },
  { weight: 2, arbitrary: FastCheck.stringMatching(/^[A-Z][A-Za-z]{0,9}$/) },
  { weight: 1, arbitrary: FastCheck.stringMatching(/^[0-9]{1,7}$/) },
  { weight: 1, arbitrary: FastCheck.constantFrom("测试", "的", "\0", "\x7f", '{"a":[1]}') }
)

const texts = (minLength: number, maxLength: number) =>
  FastCheck.array(pieces, { minLength, maxLength, size: "max" }).map((parts) => parts.join(""))

describe("the estimated tokens of a text", () => {
  it("are those of its rules, unit by unit", () => {
    FastCheck.assert(
      FastCheck.property(texts(0, 60), (text) => {
        expect(estimate(text)).toBe(reference(text))
      }),
      { numRuns: 500 }
    )
  })

  it("are those of its rules in texts that are longer than the window that is read at a time", () => {
    FastCheck.assert(
      FastCheck.property(texts(900, 1500), (text) => {
        expect(estimate(text)).toBe(reference(text))
      }),
      { numRuns: 20, endOnFailure: true }
    )
  })

  it("do not depend on where in a long text a word, a number, a sign or a space is", () => {
    for (const repeated of ["a", "A", "1", "-", " ", "的", "word ", "camelCase"]) {
      for (let length = 4090; length < 4100; length++) {
        const text = repeated.repeat(length)
        expect([text.length, estimate(text)]).toEqual([text.length, reference(text)])
      }
    }
  })

  it("are within two percent of those of its rules in a text that is estimated by windows", () => {
    const prose = "The capital of France is Paris, and 12 other cities are larger than 300,000. "
    for (const repeated of [prose, '{"a":[1,2,3],"camelCase":"测试"}\n', "的", "word "]) {
      const text = repeated.repeat(Math.ceil(600_000 / repeated.length))
      expect(Math.abs(estimate(text) / reference(text) - 1)).toBeLessThan(0.02)
    }
    const mixed = prose.repeat(4000) + "的".repeat(200_000) + "=".repeat(100_000)
    expect(Math.abs(estimate(mixed) / reference(mixed) - 1)).toBeLessThan(0.02)
  })

  it("are exact for a text of 262,144 units, and do not jump with one unit more", () => {
    const text = "word ".repeat(60_000).slice(0, 262_144)
    expect(estimate(text)).toBe(reference(text))
    expect(Math.abs(estimate(`${text}a`) / estimate(text) - 1)).toBeLessThan(0.02)
  })

  it("are the same for a text that comes in pieces of any length", () => {
    const piece = FastCheck.oneof(
      FastCheck.string({ maxLength: 40, unit: "grapheme" }),
      FastCheck.constantFrom(
        "word ",
        "camelCase",
        "的确",
        "====",
        "  \n",
        "12,345",
        "x".repeat(5000),
        "a b ".repeat(4000)
      )
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.array(piece, { maxLength: 12 }), FastCheck.nat(12), (pieces, asked) => {
        const text = growing()
        pieces.forEach((each, index) => {
          text.add(each)
          if (index === asked) expect(text.tokens()).toBe(estimate(pieces.slice(0, index + 1).join("")))
        })
        expect(text.tokens()).toBe(estimate(pieces.join("")))
      })
    )
  })
})
