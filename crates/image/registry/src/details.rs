//! `image_properties` and `image_tags`: what images have any number of.

use crate::locations;
use crate::row::image_id;
use crate::store::lost;
use base::ImageId;
use image_model::{Image, RegistryError};
use platform_db::{Db, DbError, SqlBuilder, Tx, Value, args};
use std::collections::HashMap;

/// Fills in tags, properties and locations, with three statements however many images there are.
pub(crate) async fn fill(db: &Db, images: &mut [Image]) -> Result<(), RegistryError> {
    if images.is_empty() {
        return Ok(());
    }
    let of_these = |select: &str| {
        let mut q = SqlBuilder::new(select);
        q.bind_list(images.iter().map(|i| i.id));
        q.finish()
    };
    let (sql, args) = of_these("SELECT image_id, name, value FROM image_properties WHERE image_id IN ");
    let properties: Vec<(String, String, String)> = db.fetch_all(sql, args).await.map_err(lost)?;
    let (sql, args) = of_these("SELECT image_id, value FROM image_tags WHERE image_id IN ");
    let tags: Vec<(String, String)> = db.fetch_all(sql, args).await.map_err(lost)?;
    let mut by_id: HashMap<ImageId, &mut Image> = images.iter_mut().map(|i| (i.id, i)).collect();
    for (id, name, value) in properties {
        if let Some(image) = by_id.get_mut(&image_id(&id)?) {
            image.properties.insert(name, value);
        }
    }
    for (id, value) in tags {
        if let Some(image) = by_id.get_mut(&image_id(&id)?) {
            image.tags.insert(value);
        }
    }
    locations::fill(db, &mut by_id).await
}

/// Makes tags and properties what the image says.
pub(crate) async fn replace(tx: &mut Tx, image: &Image) -> Result<(), DbError> {
    clear(tx, image.id).await?;
    insert(tx, image).await
}

pub(crate) async fn insert(tx: &mut Tx, image: &Image) -> Result<(), DbError> {
    let id = || Value::from(image.id);
    let properties = image.properties.iter().map(|(name, value)| vec![id(), name.into(), value.into()]);
    insert_rows(tx, "INSERT INTO image_properties (image_id, name, value) VALUES ", properties.collect()).await?;
    let tags = image.tags.iter().map(|tag| vec![id(), tag.into()]);
    insert_rows(tx, "INSERT INTO image_tags (image_id, value) VALUES ", tags.collect()).await
}

async fn insert_rows(tx: &mut Tx, insert: &str, rows: Vec<Vec<Value>>) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut q = SqlBuilder::new(insert);
    for (n, row) in rows.into_iter().enumerate() {
        if n > 0 {
            q.push(", ");
        }
        q.bind_list(row);
    }
    let (sql, args) = q.finish();
    tx.execute(sql, args).await.map(drop)
}

pub(crate) async fn clear(tx: &mut Tx, id: ImageId) -> Result<(), DbError> {
    tx.execute("DELETE FROM image_properties WHERE image_id = $1", args![id]).await?;
    tx.execute("DELETE FROM image_tags WHERE image_id = $1", args![id]).await?;
    Ok(())
}
