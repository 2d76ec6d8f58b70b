/** The alerts that fire. */
import type { Alert } from "../snapshot.js"
import { element, keyedChildren, setText, setVisible } from "./dom.js"
import * as Format from "./format.js"

/** Shows the alerts in a section, and announces those that have begun to fire. */
export const mount = (
  section: HTMLElement,
  list: HTMLUListElement,
  announcer: HTMLElement
): ((alerts: ReadonlyArray<Alert>, now: number) => void) => {
  const keyOf = ({ name, subject }: Alert): string => `${name} ${subject}`
  let now = 0
  let known: ReadonlySet<string> | undefined
  const update = keyedChildren<Alert>(list, keyOf, ({ name, severity }) => {
    const text = element("span", { class: "alert-text" })
    const since = element("span", { class: "alert-since" })
    const badge = element("b", { title: name }, severity)
    return {
      node: element("li", { class: "alert", "data-severity": severity }, badge, text, since),
      update: (alert) => {
        setText(text, alert.text)
        setText(since, `since ${Format.clock(alert.since)} (${Format.span(now - alert.since)})`)
      }
    }
  })
  return (alerts, at) => {
    now = at
    const firing = alerts
      .filter(({ isFiring }) => isFiring)
      .sort((a, b) => a.severity.localeCompare(b.severity) || a.since - b.since)
    setVisible(section, firing.length > 0)
    update(firing)
    const added = firing.filter((alert) => known !== undefined && !known.has(keyOf(alert)))
    if (added.length > 0) setText(announcer, added.map(({ text }) => `Alert: ${text}`).join(" "))
    known = new Set(firing.map(keyOf))
  }
}
