//! tokio-postgres: a token for each connection.

use std::error::Error;

use tokio_postgres::Config;

use crate::{fetch_token, tls, variable};

pub async fn run() -> Result<(), Box<dyn Error>> {
    let config: Config = variable("URL").parse()?;
    for _ in 0..2 {
        let mut config = config.clone();
        config.password(fetch_token().await);
        let (client, connection) = config.connect(tls()?).await?;
        tokio::spawn(connection);
        let row = client.query_one(&variable("QUERY"), &[]).await?;
        println!("{}", row.get::<_, &str>(0));
    }
    Ok(())
}
