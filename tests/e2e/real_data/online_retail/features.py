"""A gift shop's invoices: what customers, products and the shop as a whole are like."""

from __future__ import annotations

from typing import Any

import narwhals as nw

import headrace as hr

# Who bought is personal: silver, gold and quarantine hold a keyed hash of the number.
lines = hr.EventSource(
    "lines",
    schema={
        "invoice_no": hr.String, "stock_code": hr.String, "description": hr.String, "quantity": hr.Int64,
        "invoice_ts": hr.Timestamp, "unit_price_gbp": hr.Float64, "customer_id": hr.Int64, "country": hr.String,
    },
    event_time="invoice_ts",
    timezone="Europe/London",
    dedupe_on=["invoice_no", "stock_code", "quantity", "unit_price_gbp"],
    required="country",
    contract=[
        hr.check.matches("invoice_no", r"C?\d{6}"),
        hr.check.matches("stock_code", r"\d{5}[A-Za-z]{0,2}"),
        hr.check.not_null("description"),
        hr.check.between("quantity", -5000, 5000),
        hr.check.between("unit_price_gbp", 0, 1000),
    ],
    personal={"customer_id": hr.mask.hmac(), "description": hr.mask.truncate(12)},
    complete_from="beginning",
    max_rejected_share=0.02,
    batch=hr.Files("landing/lines_*.parquet"),
)  # fmt: skip

customer = hr.Entity("customer", keys={"customer_id": hr.Int64})
product = hr.Entity("product", keys={"stock_code": hr.String})
basket = hr.Entity("basket", keys={"customer_id": hr.Int64, "stock_code": hr.String})


@hr.transform
def with_amount(rows: Any) -> Any:
    """What a line came to, in whole pence."""
    return rows.with_columns(pence=(nw.col("quantity") * nw.col("unit_price_gbp") * 100).round().cast(nw.Int64))


customer_value = hr.FeatureView(
    "customer_value", entity=customer, source=lines, transform=with_amount, ttl="180d", features={
        "pence": hr.sum("pence"),
        "pence_90d": hr.sum("pence", hr.sliding("90d", hop="1d"), default=0),
        "pence_mean": hr.mean("pence"),
        "pence_stddev": hr.stddev("pence"),
        "lines": hr.count(),
        "returns": hr.count(where="quantity < 0"),
        "orders": hr.count_distinct("invoice_no", where="quantity > 0"),
        "orders_90d": hr.count_distinct("invoice_no", hr.sliding("90d", hop="1d")),
        "products_approx": hr.count_distinct("stock_code", approximate=True),
        "last_country": hr.last("country"),
        "last_product": hr.last("stock_code"),
        "first_product": hr.first("stock_code"),
        "last_products": hr.last_n("stock_code", 5),
        "dearest": hr.max("unit_price_gbp", where=hr.col("country") == "United Kingdom"),
    },
)  # fmt: skip
product_sales = hr.FeatureView(
    "product_sales", entity=product, source=lines, transform=with_amount, resolution="15m", features={
        "quantity_7d": hr.sum("quantity", hr.sliding("7d", hop="1d")),
        "quantity_week": hr.sum("quantity", hr.tumbling("7d", offset="4d")),
        "pence_28d": hr.sum("pence", hr.hopping("28d", hop="7d", offset="4d")),
        "price": hr.last("unit_price_gbp"),
        "name": hr.last("description"),
        "price_min_28d": hr.min("unit_price_gbp", hr.sliding("28d", hop="1d")),
        "price_p50_28d": hr.quantile("unit_price_gbp", 0.5, hr.sliding("28d", hop="1d")),
        "customers_28d": hr.count_distinct("customer_id", hr.sliding("28d", hop="1d")),
        "customers_approx": hr.count_distinct("customer_id", approximate=True),
        "known_customer": hr.count("customer_id"),
    },
)  # fmt: skip
basket_now = hr.FeatureView("basket_now", entity=basket, source=lines, features={
    "times": hr.count(),
    "quantity": hr.sum("quantity"),
    "last_quantity": hr.last("quantity"),
    "quantity_variance": hr.variance("quantity"),
})  # fmt: skip
shop = hr.FeatureView("shop", entity=None, source=lines, transform=with_amount, features={
    "pence_yesterday": hr.sum("pence", hr.tumbling("1d")),
    "lines_1h": hr.count(window=hr.sliding("1h", hop="1m")),
    "customers_1d": hr.count_distinct("customer_id", hr.sliding("1d", hop="1h")),
    "without_customer_1d": hr.count(window=hr.sliding("1d", hop="1h"), where="customer_id IS NULL"),
})  # fmt: skip
everything = hr.FeatureService("everything", features=[customer_value, product_sales, basket_now, shop])
