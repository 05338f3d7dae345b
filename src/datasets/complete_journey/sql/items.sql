-- Products of the source with their row of the taxonomy. Types outside it are not merchandisable.
SELECT p.product_id,
       x.taxonomy_row,
       x.type_id,
       COALESCE(p.brand, '') = 'Private' AS private_label,
       p.package_size
FROM source_products AS p
JOIN taxonomy AS x
  ON p.department = x.department
 AND COALESCE(p.product_category, '') = x.product_category
 AND COALESCE(p.product_type, '') = x.product_type
