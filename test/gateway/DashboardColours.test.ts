import { describe, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

describe("colours of the dashboard", () => {
  const sheet = readFileSync(new URL("../../src/gateway/dashboard/page/style/palette.css", import.meta.url), "utf8")

  const palette = new Map(
    [...sheet.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(([, name, light, dark]) => [
      name,
      [light, dark]
    ])
  )

  /** Relative luminance, WCAG 2.2. */
  const luminance = (colour: string): number => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const channel = Number.parseInt(colour.slice(at, at + 2), 16) / 255
      return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }

  const contrast = (one: string, other: string): number => {
    const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
    return (light + 0.05) / (dark + 0.05)
  }

  const colour = (name: string, theme: number): string => {
    const found = palette.get(name)?.[theme]
    if (found === undefined) throw new Error(`there is no colour ${name}`)
    return found
  }

  const words = ["text", "muted", "good", "warn", "bad", "busy", "accent"].flatMap((name) =>
    ["page", "card", "raised"].map((ground) => [name, ground, 4.5] as const)
  )

  const pairs = [
    ...words,
    ["on-accent", "accent", 4.5] as const,
    // Toasts.
    ["page", "text", 4.5] as const,
    ["card", "bad", 4.5] as const,
    ...[1, 2, 3, 4, 5, 6].map((number) => [`chart-${number}`, "card", 3] as const)
  ]

  it.each([
    ["light", 0],
    ["dark", 1]
  ] as const)("keeps the contrast that WCAG requires in the %s theme", (_, theme) => {
    const faint = pairs.filter(([name, ground, least]) => contrast(colour(name, theme), colour(ground, theme)) < least)
    expect(faint).toEqual([])
    expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 5)
  })
})
