/**
 * Prices of most providers' models. Needs the optional peer dependency `@pydantic/genai-prices`.
 *
 * @since 0.1.0
 */
export * as Prices from "./Prices.js"
