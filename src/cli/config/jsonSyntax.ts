/** Finds the first syntax error of a JSON text, because the errors of `JSON.parse` often contain no position. */

const space = /[ \t\n\r]*/y

const token =
  // oxlint-disable-next-line no-control-regex
  /[{}[\],:]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/** The tokens that are allowed next. */
type Next = "value" | "value or ]" | "key" | "key or }" | ":" | ", or end"

/** The offset of the first token that RFC 8259 does not allow there; `undefined` if the text is JSON. */
export const faultOf = (text: string): number | undefined => {
  const open: Array<"{" | "["> = []
  let next: Next = "value"
  let at = 0
  for (;;) {
    space.lastIndex = at
    at += space.exec(text)?.[0].length ?? 0
    if (at === text.length) return open.length === 0 && next === ", or end" ? undefined : at
    token.lastIndex = at
    const tokenText = token.exec(text)?.[0]
    if (tokenText === undefined) return at
    const [kind] = tokenText
    const inside = open[open.length - 1]
    if (kind === "{" || kind === "[") {
      if (next !== "value" && next !== "value or ]") return at
      open.push(kind)
      next = kind === "{" ? "key or }" : "value or ]"
    } else if (kind === "}" || kind === "]") {
      const isEnd = next === ", or end" || next === (kind === "}" ? "key or }" : "value or ]")
      if (!isEnd || inside !== (kind === "}" ? "{" : "[")) return at
      open.pop()
      next = ", or end"
    } else if (kind === ",") {
      if (next !== ", or end" || inside === undefined) return at
      next = inside === "{" ? "key" : "value"
    } else if (kind === ":") {
      if (next !== ":") return at
      next = "value"
    } else if (next === "key" || next === "key or }") {
      if (kind !== '"') return at
      next = ":"
    } else {
      if (next !== "value" && next !== "value or ]") return at
      next = ", or end"
    }
    at += tokenText.length
  }
}
