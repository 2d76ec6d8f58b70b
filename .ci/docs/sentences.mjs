// A rule of textlint: sentences have at most `max` words. A code span counts as one word.
import { split, SentenceSplitterSyntax } from "sentence-splitter"
import { nodesOf } from "./documents.mjs"

const wordsOf = (text) => text.match(/[\p{L}\p{N}][\p{L}\p{N}'’.:/_-]*/gu)?.length ?? 0

/** The text of a node in which each inline code, image or formula is one word, and every character keeps its place. */
const flatten = (node, source) => {
  const from = node.range[0]
  let text = source.slice(...node.range)
  for (const child of nodesOf(node)) {
    if (["Code", "Html", "Image"].includes(child.type)) {
      const [start, end] = child.range.map((index) => index - from)
      text = text.slice(0, start) + (child.type === "Html" ? " " : "x").repeat(end - start) + text.slice(end)
    }
    if (child.type === "Link") {
      // The brackets and the address are not read.
      const first = child.children?.[0]?.range[0] ?? child.range[1]
      const last = child.children?.at(-1)?.range[1] ?? child.range[1]
      for (const [start, end] of [
        [child.range[0], first],
        [last, child.range[1]]
      ]) {
        text = text.slice(0, start - from) + " ".repeat(end - start) + text.slice(end - from)
      }
    }
  }
  return text
}

/** The rule. */
export const sentences = (context, { max = 40 } = {}) => {
  const { RuleError, Syntax, getSource, locator, report } = context
  const check = (node) => {
    const text = flatten(node, getSource())
    for (const sentence of split(text)) {
      if (sentence.type !== SentenceSplitterSyntax.Sentence) continue
      const words = wordsOf(sentence.raw)
      if (words > max) {
        const start = sentence.range[0]
        report(
          node,
          new RuleError(`The sentence has ${words} words; at most ${max} are easily read.`, {
            padding: locator.range([start, start + 1])
          })
        )
      }
    }
  }
  return { [Syntax.Paragraph]: check, [Syntax.TableCell]: check }
}
