/** The HTML page that shows the OpenAPI document, without scripts and external resources. */
import type { Operation, Specification } from "./openapi.js"

const escaped = (text: string): string =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;")

const withCode = (text: string): string => escaped(text).replace(/`([^`]+)`/g, "<code>$1</code>")

const style = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { line-height: 1.2; }
h2 { margin-top: 2.5rem; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
summary { cursor: pointer; padding: .6rem .8rem; overflow-wrap: anywhere; }
details > div { padding: 0 .8rem .8rem; }
.method { display: inline-block; min-width: 4.5em; font-weight: 700; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { background: var(--soft); padding: .8rem; overflow: auto; border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
`

/** Allows only the inline style of the page. */
export const contentSecurityPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const linked = (schema: object): string =>
  escaped(JSON.stringify(schema, null, 2)).replace(
    /#\/components\/schemas\/(\w+)/g,
    '<a href="#schema-$1">#/components/schemas/$1</a>'
  )

const contents = (content: Readonly<Record<string, { readonly schema: object } | undefined>> | undefined): string =>
  Object.entries(content ?? {})
    .map(([type, media]) => `<p><code>${escaped(type)}</code></p><pre>${linked(media?.schema ?? {})}</pre>`)
    .join("")

const operation = (path: string, method: string, spec: Operation): string => {
  const rows = Object.entries(spec.responses)
    .map(([status, { content, description }]) => {
      const types = Object.entries(content ?? {}).map(
        ([type, media]) => `${type}: ${JSON.stringify(media?.schema ?? {})}`
      )
      return `<tr><th scope="row">${status}</th><td>${withCode(description)}</td><td><code>${types.map((type) => linkedText(type)).join("<br>")}</code></td></tr>`
    })
    .join("")
  const security = (spec.security ?? []).flatMap((each) => Object.keys(each))
  return [
    `<details id="${escaped(spec.operationId)}"><summary><span class="method">${method.toUpperCase()}</span> <code>${escaped(path)}</code></summary><div>`,
    spec.description === undefined ? "" : `<p>${withCode(spec.description)}</p>`,
    security.length === 0
      ? ""
      : `<p>Needs: ${security.map((name) => `<code>${escaped(name)}</code>`).join(" or ")}</p>`,
    spec.requestBody === undefined ? "" : `<h3>Body</h3>${contents(spec.requestBody.content)}`,
    `<h3>Answers</h3><table><tbody>${rows}</tbody></table></div></details>`
  ].join("")
}

const linkedText = (text: string): string =>
  escaped(text).replace(/#\/components\/schemas\/(\w+)/g, '<a href="#schema-$1">$1</a>')

export const render = (specification: Specification): string => {
  const operations = Object.entries(specification.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, spec]) => ({ path, method, spec }))
  )
  const groups = specification.tags.map(({ description, name }) => {
    const own = operations.filter(({ spec }) => spec.tags.includes(name))
    return [
      `<h2>${escaped(name)}</h2>`,
      description === undefined ? "" : `<p>${withCode(description)}</p>`,
      ...own.map(({ spec, method, path }) => operation(path, method, spec))
    ].join("")
  })
  const schemas = Object.entries(specification.components.schemas).map(
    ([name, schema]) =>
      `<details id="schema-${escaped(name)}"><summary><code>${escaped(name)}</code></summary><div><pre>${linked(schema)}</pre></div></details>`
  )
  const { description = "", title, version } = specification.info
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escaped(title)}</title><style>${style}</style></head><body><main>`,
    `<h1>${escaped(title)} ${escaped(version)}</h1><p>${withCode(description)}</p>`,
    '<p>As a document for programs: <a href="openapi.json">openapi.json</a></p>',
    ...groups,
    `<h2>Schemas</h2>${schemas.join("")}</main></body></html>`
  ].join("\n")
}
