import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** ClickHouse's JDBC driver as BI tools use it. Prints one fact a line: its name, then what was read. */
class Read {
    static Connection connected(String address, String user, String password) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        properties.setProperty("password", password);
        return DriverManager.getConnection("jdbc:clickhouse://" + address + "/throughline", properties);
    }

    static long number(Connection connection, String query) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(query)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    static String codeOf(Connection connection, String query) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(query);
            return "none";
        } catch (SQLException refused) {
            return String.valueOf(refused.getErrorCode());
        }
    }

    static long streamed(Connection connection, String query) throws SQLException {
        long sum = 0;
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(query)) {
            while (rows.next()) sum += rows.getLong(1);
        }
        return sum;
    }

    static String bound(Connection connection, String text) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT ? AS who")) {
            statement.setString(1, text);
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getString("who");
            }
        }
    }

    static void inserted(Connection connection, String table) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TABLE " + table + " (n UInt32, word String) ENGINE = MergeTree ORDER BY n");
        }
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO " + table + " (n, word) VALUES (?, ?)")) {
            for (int n = 0; n < 1000; n++) {
                statement.setInt(1, n);
                statement.setString(2, "word " + n);
                statement.addBatch();
            }
            statement.executeBatch();
        }
    }

    public static void main(String[] given) throws SQLException {
        try (Connection reading = connected(given[0], given[3], given[4]);
                Connection writing = connected(given[0], given[1], given[2])) {
            System.out.println("ping " + reading.isValid(10));
            System.out.println("text " + bound(reading, "O'Hara"));
            System.out.println("sum " + streamed(reading, "SELECT number FROM numbers(300000)"));
            for (int n = 0; n < 5; n++) {
                System.out.println("count " + number(reading, "SELECT count() FROM sessions"));
            }
            inserted(writing, "from_java");
            System.out.println("inserted " + number(reading, "SELECT sum(n) FROM from_java"));
            System.out.println("refused " + codeOf(reading, "DROP TABLE from_java"));
            System.out.println("unknown " + codeOf(reading, "SELECT * FROM nothing"));
            System.out.println("tables " + (reading.getMetaData().getTables(null, "throughline", "from_java", null).next()));
        }
    }
}
