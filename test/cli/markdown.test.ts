import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Markdown from "../../src/cli/markdown.js"
import type { Style } from "../../src/cli/style.js"
import { coloured, harmless, uncoloured, withoutStyle } from "../../src/cli/style.js"

/** Styles that can be read. */
const tagged: Style = (text, ...looks) => (text === "" || looks.length === 0 ? text : `<${looks.join(" ")}>${text}</>`)

const shown = (pieces: ReadonlyArray<string>, style: Style): string => {
  let state = Markdown.initial
  let text = ""
  for (const piece of pieces) {
    const [next, more] = Markdown.push(state, piece, style)
    state = next
    text += more
  }
  return text + Markdown.end(state, style)
}

const whole = (text: string): string => shown([text], tagged)

/** The style of every character: what a person sees. */
const seen = (text: string): ReadonlyArray<readonly [character: string, looks: string]> => {
  const characters: Array<readonly [string, string]> = []
  let looks = ""
  for (const [token] of text.matchAll(/<\/>|<[a-z ]+>|[^]/g)) {
    if (token === "</>") looks = ""
    else if (token.length > 1) looks = token
    else characters.push([token, looks])
  }
  return characters
}

describe("Markdown is shown as such", () => {
  it.each([
    [
      "**bold** and *italic*, __bold__ and _italic_",
      "<bold>bold</> and <italic>italic</>, <bold>bold</> and <italic>italic</>"
    ],
    ["***both***", "<bold italic>both</>"],
    ["~~gone~~", "<struck>gone</>"],
    ["`a*b*c` and ``a ` b``", "<cyan>a*b*c</> and <cyan>a ` b</>"],
    ["[here](http://a.b/c_d_e)", "<underlined>here</><dim> (http://a.b/c_d_e)</>"],
    ["# Title", "<bold cyan>Title</>"],
    ["- one\n* two\n+ three", "<cyan>•</> one\n<cyan>•</> two\n<cyan>•</> three"],
    ["1. one\n12) two", "<cyan>1.</> one\n<cyan>12)</> two"],
    ["> said", "<dim>│ </><italic>said</>"],
    ["a\n\n---\n\nb", `a\n\n<dim>${"─".repeat(24)}</>\n\nb`],
    ["```ts\nconst a = `**b**`\n```\nend", "<cyan>const a = `**b**`</>\nend"],
    ["~~~\n```\n~~~", "<cyan>```</>\n"]
  ])("%j", (text, expected) => {
    expect(whole(text)).toBe(expected)
  })
})

describe("what is no Markdown is left as it is", () => {
  it.each([
    "2 * 3 * 4",
    "snake_case_name and __init__py",
    "**never closed",
    "`never closed",
    "a [b] c [d](",
    "5 > 3",
    "#hashtag",
    "-5 degrees",
    "\\ and a | b",
    "~ 5 ~"
  ])("%j", (text) => {
    expect(whole(text)).toBe(text)
  })

  it("a backslash takes the meaning of a mark", () => {
    expect(whole("\\*not italic\\*")).toBe("*not italic*")
  })
})

describe("a text looks the same however it is cut", () => {
  const piece = fc.constantFrom(
    "*",
    "**",
    "***",
    "_",
    "__",
    "~~",
    "~",
    "`",
    "``",
    "```",
    "#",
    "## ",
    "- ",
    "1. ",
    "> ",
    "---",
    "[a](b)",
    "[",
    "]",
    "(",
    ")",
    "!",
    "\\",
    "\n",
    "\n\n",
    " ",
    "word",
    "snake_case",
    "a",
    "é",
    "世界",
    "ts",
    "."
  )
  const text = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(""))

  it.prop("cut anywhere", [text, fc.array(fc.nat(80), { maxLength: 12 })], ([text, cuts]) => {
    const places = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length]
    const pieces = places.slice(1).map((end, index) => text.slice(places[index], end))
    expect(seen(shown(pieces, tagged))).toEqual(seen(whole(text)))
  })

  it.prop("and no letter is lost", [text], ([text]) => {
    const letters = (of: string) => of.replace(/[^\p{L}]/gu, "")
    const fenceless = text.replace(/```/g, "'''").replace(/~~~/g, "'''")
    expect(letters(withoutStyle(shown([fenceless], coloured)))).toBe(letters(fenceless))
  })

  it("what is certain is shown at once", () => {
    const [state, text] = Markdown.push(Markdown.initial, "Hello **wor", uncoloured)
    expect(text).toBe("Hello ")
    expect(Markdown.push(state, "ld** and", tagged)[1]).toBe("<bold>world</> and")
  })
})

describe("a terminal obeys nobody but us", () => {
  it("escape sequences of a model are no more than letters", () => {
    expect(harmless("\u001b]0;title\u0007\u001b[2Jhi\u009b5A\ttab\nline\r")).toBe("]0;title[2Jhi5A\ttab\nline")
  })
})
