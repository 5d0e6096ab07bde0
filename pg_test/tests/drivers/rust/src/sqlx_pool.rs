//! sqlx: the pool uses the newest token for each connection that it opens.

use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::{fetch_token, variable};

pub async fn run() -> Result<(), Box<dyn Error>> {
    let options = PgConnectOptions::from_str(&variable("URL"))?;
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options.clone().password(&fetch_token().await));
    let mut first = pool.acquire().await?;

    // Every minute or so, in a task:
    pool.set_connect_options(options.clone().password(&fetch_token().await));

    let mut second = pool.acquire().await?;
    for connection in [&mut first, &mut second] {
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(variable("QUERY")));
        println!(
            "{}",
            query
                .fetch_one(&mut **connection)
                .await
                .map(|text: String| text)?
        );
    }
    Ok(())
}
