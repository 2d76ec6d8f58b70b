import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Markdown from "../../src/cli/terminal/markdown.js"
import type { Style } from "../../src/cli/terminal/style.js"
import { coloured, sanitize, uncoloured, stripStyle } from "../../src/cli/terminal/style.js"

/** A style that writes attributes as readable tags. */
const tagged: Style = (text, ...looks) => (text === "" || looks.length === 0 ? text : `<${looks.join(" ")}>${text}</>`)

const render = (pieces: ReadonlyArray<string>, style: Style, columns = 40): string => {
  let state = Markdown.initial
  let text = ""
  for (const piece of pieces) {
    const [next, more] = Markdown.push(state, piece, style, columns)
    state = next
    text += more
  }
  return text + Markdown.end(state, style, columns)
}

const renderWhole = (text: string): string => render([text], tagged)

/** Each visible character with its attributes. */
const visibleCharacters = (text: string): ReadonlyArray<readonly [character: string, looks: string]> => {
  const characters: Array<readonly [string, string]> = []
  let looks = ""
  for (const [token] of text.matchAll(/<\/>|<[a-z ]+>|[^]/g)) {
    if (token === "</>") looks = ""
    else if (token.length > 1) looks = token
    else characters.push([token, looks])
  }
  return characters
}

describe("Markdown", () => {
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
  ])("renders the Markdown %j in styles", (text, expected) => {
    expect(renderWhole(text)).toBe(expected)
  })
})

describe("Markdown tables", () => {
  const plain = (text: string, columns?: number): string => render([text], uncoloured, columns)

  it("renders a table with aligned columns, each as wide as its widest cell", () => {
    expect(
      plain(
        [
          "Prices:",
          "| Fruit | Price | Note |",
          "|:------|------:|:----:|",
          "| Apple | 1.2 | ok |",
          "| Dragon fruit | 12.25 | **rare** |",
          "",
          "That is all."
        ].join("\n")
      )
    ).toBe(
      [
        "Prices:",
        "Fruit        │ Price │ Note",
        "─────────────┼───────┼─────",
        "Apple        │   1.2 │  ok",
        "Dragon fruit │ 12.25 │ rare",
        "",
        "That is all."
      ].join("\n")
    )
  })

  it("renders the header of a table in bold, and Markdown within its cells", () => {
    expect(renderWhole("| a | b |\n| - | - |\n| `x` | [y](u) |\n")).toBe(
      "<bold>a</><dim> │ </><bold>b</>\n<dim>──┼──────</>\n<cyan>x</><dim> │ </><underlined>y</><dim> (u)</>\n"
    )
  })

  it("measures the width of table cells in terminal columns instead of characters", () => {
    expect(plain("| 名前 | n |\n|--|--|\n| é | 1 |\n| e\u0301 | 2 |\n| 👍🏽 | 3 |")).toBe(
      "名前 │ n\n─────┼──\né    │ 1\ne\u0301    │ 2\n👍🏽   │ 3"
    )
  })

  it("renders rows with missing cells, extra cells and escaped bars", () => {
    expect(plain("| a | b |\n|---|---|\n| 1 |\n| x\\|y | 2 | 3")).toBe(
      "a   │ b │ \n────┼───┼──\n1   │   │ \nx|y │ 2 │ 3"
    )
  })

  it("prints a table unchanged, row by row, if it is wider than the terminal", () => {
    const table = `| a | b |\n|---|---|\n| ${"long ".repeat(8)}| x |\n| 1 | 2 |\nend`
    expect(plain(table)).toBe(table)
    expect(plain(table, 80)).toContain("─┼─")
  })

  it.each([
    "| no table |",
    "|",
    "| a | b |\n| c | d |\nend",
    "| a | b |\n|---|\n",
    "| a | b |\n|---|--x|\n| 1 | 2 |",
    "x\n    | a |\n    |---|\n"
  ])("prints %j unchanged because it is not a table", (text) => {
    expect(plain(text)).toBe(text)
  })

  it("prints a table between code fences as code", () => {
    expect(plain("```\n| a |\n|---|\n```\n")).toBe("| a |\n|---|\n")
  })

  it("starts a table at the second line with bars when the first has another number of columns", () => {
    expect(plain("| x | y | z |\n| a | b |\n|---|---|\n")).toBe("| x | y | z |\na │ b\n──┼──\n")
  })
})

describe("text without Markdown", () => {
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
  ])("prints %j unchanged because it is not Markdown", (text) => {
    expect(renderWhole(text)).toBe(text)
  })

  it("prints an escaped mark literally, without its backslash", () => {
    expect(renderWhole("\\*not italic\\*")).toBe("*not italic*")
  })
})

describe("Markdown in chunks", () => {
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
    ".",
    "|",
    "\n| a",
    " | ",
    "\n|---|:-:|\n",
    "\n|-|"
  )
  const text = fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join(""))

  it.prop(
    "renders a text in the same styles however it is split into chunks",
    [text, fc.array(fc.nat(80), { maxLength: 12 })],
    ([text, cuts]) => {
      const places = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length]
      const pieces = places.slice(1).map((end, index) => text.slice(places[index], end))
      expect(visibleCharacters(render(pieces, tagged))).toEqual(visibleCharacters(renderWhole(text)))
    }
  )

  it.prop("keeps every letter of the text", [text], ([text]) => {
    const letters = (of: string) => of.replace(/[^\p{L}]/gu, "")
    const fenceless = text.replace(/```/g, "'''").replace(/~~~/g, "'''")
    expect(letters(stripStyle(render([fenceless], coloured)))).toBe(letters(fenceless))
  })

  it("prints the certain part of a chunk at once and the rest when its style is known", () => {
    const [state, text] = Markdown.push(Markdown.initial, "Hello **wor", uncoloured)
    expect(text).toBe("Hello ")
    expect(Markdown.push(state, "ld** and", tagged)[1]).toBe("<bold>world</> and")
  })
})

describe("sanitizing for a terminal", () => {
  it("removes the control characters of escape sequences from model text", () => {
    expect(sanitize("\u001b]0;title\u0007\u001b[2Jhi\u009b5A\ttab\nline\r")).toBe("]0;title[2Jhi5A\ttab\nline")
  })
})
