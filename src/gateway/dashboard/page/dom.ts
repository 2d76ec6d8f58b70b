/** Helpers for the DOM: elements are made once, and later only differences are written. */
import type { Parts } from "./parts.js"

export type Attributes = Readonly<Record<string, string>>

export const element = <Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[Tag] => {
  const created = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value)
  created.append(...children)
  return created
}

export const graphic = <Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Node>
): SVGElementTagNameMap[Tag] => {
  const created = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value)
  created.append(...children)
  return created
}

/** The element of this id and class; throws if the page has none. */
export const elementById = <A extends Element>(id: string, kind: new () => A): A => {
  const existing = document.getElementById(id)
  if (existing instanceof kind) return existing
  throw new Error(`the page has no ${id}`)
}

export const setText = (node: Node, text: string): void => {
  if (node.textContent !== text) node.textContent = text
}

export const setAttribute = (node: Element, name: string, value: string): void => {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value)
}

export const setVisible = (node: HTMLElement, visible: boolean): void => {
  if (node.hidden === visible) node.hidden = !visible
}

/** The element of a value. */
export interface View<A> {
  readonly node: HTMLElement
  readonly update: (value: A) => void
}

/** Numbers duplicates, such as one key of two deployments. */
const distinct = (keys: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Map<string, number>()
  return keys.map((key) => {
    const earlier = seen.get(key) ?? 0
    seen.set(key, earlier + 1)
    return earlier === 0 ? key : `${key}\n${earlier}`
  })
}

/** The element of a value, which is updated in parts. */
export interface PartsView<A> {
  readonly node: HTMLElement
  readonly update: (value: A) => Parts
}

/**
 * Updates the children of a node, one per value, each as a part of its own. A key keeps its node, and so its focus, while it is
 * present.
 */
export const keyedParts = <A>(
  parent: Element,
  keyOf: (value: A) => string,
  make: (value: A) => PartsView<A>
): ((values: ReadonlyArray<A>) => Parts) => {
  const views = new Map<string, PartsView<A>>()
  return function* (values) {
    const keys = distinct(values.map(keyOf))
    const presentKeys = new Set(keys)
    for (const [key, { node }] of views) {
      if (presentKeys.has(key)) continue
      node.remove()
      views.delete(key)
    }
    for (const [index, value] of values.entries()) {
      const key = keys[index] ?? ""
      const existing = views.get(key)
      const view = existing ?? make(value)
      if (existing === undefined) views.set(key, view)
      if (parent.children[index] !== view.node) parent.insertBefore(view.node, parent.children[index] ?? null)
      yield* view.update(value)
      yield
    }
  }
}

/** The view of an element that needs no more than one part. */
export const inOnePart = <A>({ node, update }: View<A>): PartsView<A> => ({
  node,
  update: (value) => {
    update(value)
    return []
  }
})

/** As `keyedParts`, at once. */
export const keyedChildren = <A>(
  parent: Element,
  keyOf: (value: A) => string,
  make: (value: A) => View<A>
): ((values: ReadonlyArray<A>) => void) => {
  const partsOf = keyedParts<A>(parent, keyOf, (value) => inOnePart(make(value)))
  return (values) => void Array.from(partsOf(values))
}

/** A bar that shows a share. */
export const meter = (
  label: string
): { readonly node: HTMLElement; readonly set: (share: number, text: string) => void } => {
  const node = element("div", {
    class: "meter",
    role: "meter",
    "aria-label": label,
    "aria-valuemin": "0",
    "aria-valuemax": "100"
  })
  const fill = element("i")
  node.append(fill)
  return {
    node,
    set: (share, text) => {
      const percent = String(Math.round(Math.min(1, Math.max(0, share)) * 100))
      setAttribute(node, "aria-valuenow", percent)
      setAttribute(node, "aria-valuetext", text)
      if (fill.style.inlineSize !== `${percent}%`) fill.style.inlineSize = `${percent}%`
    }
  }
}
