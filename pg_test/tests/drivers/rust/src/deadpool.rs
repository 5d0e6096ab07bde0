//! deadpool-postgres: the pool asks for a token for each connection that it opens.

use std::error::Error;
use std::pin::Pin;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool};
use postgres_native_tls::MakeTlsConnector;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config};

use crate::{fetch_token, tls, variable};

struct WithToken(MakeTlsConnector);

type Connected = Result<(Client, JoinHandle<()>), tokio_postgres::Error>;

impl Connect for WithToken {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        let mut config = config.clone();
        Box::pin(async move {
            config.password(fetch_token().await);
            let (client, connection) = config.connect(self.0.clone()).await?;
            Ok((client, tokio::spawn(async { drop(connection.await) })))
        })
    }
}

pub async fn run() -> Result<(), Box<dyn Error>> {
    let config: Config = variable("URL").parse()?;
    let manager = Manager::from_connect(config, WithToken(tls()?), ManagerConfig::default());
    let pool = Pool::builder(manager).max_size(2).build()?;
    for client in [pool.get().await?, pool.get().await?] {
        let row = client.query_one(&variable("QUERY"), &[]).await?;
        println!("{}", row.get::<_, &str>(0));
    }
    Ok(())
}
