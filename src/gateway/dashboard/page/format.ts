/** Formats figures for people. */

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 })
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })

export const count = (n: number): string => (Math.abs(n) < 10_000 ? tenths.format(n) : compact.format(n))

/** In milliseconds. */
export const duration = (millis: number): string => {
  if (millis < 10) return `${tenths.format(millis)} ms`
  if (millis < 1000) return `${whole.format(millis)} ms`
  return millis < 60_000 ? `${tenths.format(millis / 1000)} s` : `${tenths.format(millis / 60_000)} min`
}

/** Formats a remaining or elapsed time in milliseconds: `8 s`, `3 min`, `2 h 5 min`. */
export const span = (millis: number): string => {
  const seconds = Math.max(0, Math.ceil(millis / 1000))
  if (seconds < 100) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`
}

export const dollars = (amount: number): string => {
  if (amount === 0) return "$0"
  if (amount < 0.0001) return "<$0.0001"
  if (amount < 0.1) return `$${String(Number(amount.toPrecision(2)))}`
  return amount < 10_000 ? `$${amount.toFixed(2)}` : `$${compact.format(amount)}`
}

/** A cost of tokens whose price is not known is not nothing. */
export const cost = (amount: number, unpricedTokens: number): string =>
  amount === 0 && unpricedTokens > 0 ? "unknown" : dollars(amount)

/** The cost of a request; nothing is known of one that used no tokens. */
export const costOf = ({ cost, inputTokens }: { readonly cost?: number; readonly inputTokens?: number }): string =>
  cost === undefined ? (inputTokens === undefined ? "–" : "unknown") : dollars(cost)

export const percent = (share: number): string => {
  if (share === 0) return "0%"
  const hundredths = share * 100
  return `${hundredths < 10 ? hundredths.toFixed(1) : hundredths.toFixed(0)}%`
}

export const clock = (at: number, seconds = false): string =>
  new Date(at).toLocaleTimeString("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    ...(seconds ? { second: "2-digit" } : {})
  })

/** Formats a date: `24 Nov`. */
export const day = (at: number): string => new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short" })

export const dayAndClock = (at: number): string => `${day(at)} ${clock(at)}`

/** Formats `RateLimitError` as `rate limit`. */
export const outcome = (name: string): string =>
  name
    .replace(/Error$/, "")
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
